//! How large a query becomes once every name in it is replaced by what it stands for.
//!
//! Planning cannot be interrupted, and a name is replaced wherever it stands: forty common table expressions that
//! each read the one before twice are a trillion scans. So the size is reckoned before planning, and never too low.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::{Expr, Ident, ObjectName, Query, Select, Visit, Visitor};

use super::refusal::SqlError;
use super::statement::forbidden;

/// Tables that a query reads, those of what it names included.
const RELATIONS_MAX: usize = 1_000;
/// The text of a query whose columns are replaced by the expressions behind them.
const TEXT_BYTES_MAX: usize = 4 << 20;
/// Queries with a WITH inside each other: finding their tables takes twice as long with each.
const WITHS_MAX: usize = 8;

/// Refuses a statement that is larger than it looks. `text_bytes` is the length of its text and parameters.
pub(super) fn check(statement: &Parsed, text_bytes: usize) -> Result<(), SqlError> {
    let mut expansion = Expansion { text_bytes, ..Expansion::default() };
    let flow = match statement {
        Parsed::Statement(statement) => statement.visit(&mut expansion),
        Parsed::Explain(explained) => return check(&explained.statement, text_bytes),
        Parsed::CreateExternalTable(_) | Parsed::CopyTo(_) | Parsed::Reset(_) => ControlFlow::Continue(()),
    };
    match flow {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(refused) => Err(forbidden(refused)),
    }
}

/// What stands behind a name.
#[derive(Debug, Clone, Copy)]
struct Size {
    relations: usize,
    /// How many columns of tables one column may stand for.
    columns: usize,
}

const TABLE: Size = Size { relations: 1, columns: 1 };

/// A query that is being read.
struct Open {
    relations: usize,
    /// The most columns that one column of its tables stands for.
    below: usize,
    /// The most columns that one of its own expressions names.
    named: usize,
}

#[derive(Default)]
struct Expansion {
    text_bytes: usize,
    open: Vec<Open>,
    /// The sizes of names. A name given twice has the larger.
    sizes: HashMap<String, Size>,
    /// The queries that have a name, by where they are.
    names: HashMap<*const Query, String>,
    withs: usize,
}

impl Visitor for Expansion {
    type Break = String;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<String> {
        self.open.push(Open { relations: 0, below: 1, named: 1 });
        let Some(with) = &query.with else { return ControlFlow::Continue(()) };
        self.withs += 1;
        if self.withs > WITHS_MAX {
            return ControlFlow::Break(format!("a query has at most {WITHS_MAX} WITH inside each other"));
        }
        for cte in &with.cte_tables {
            self.names.insert(std::ptr::from_ref(cte.query.as_ref()), folded(&cte.alias.name));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<String> {
        if let Some(open) = self.open.last_mut() {
            for item in &select.projection {
                let mut columns = Columns(0);
                let _ = item.visit(&mut columns);
                open.named = open.named.max(columns.0);
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<String> {
        let parts: Vec<String> = relation.0.iter().filter_map(|part| part.as_ident()).map(folded).collect();
        // The planner looks common table expressions up by their whole name too, points included.
        let size = self.sizes.get(&parts.join(".")).copied().unwrap_or(TABLE);
        if let Some(open) = self.open.last_mut() {
            open.relations = open.relations.saturating_add(size.relations);
            open.below = open.below.max(size.columns);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<String> {
        self.withs -= usize::from(query.with.is_some());
        let Some(done) = self.open.pop() else { return ControlFlow::Continue(()) };
        if done.relations > RELATIONS_MAX {
            return ControlFlow::Break(format!(
                "the query reads more than {RELATIONS_MAX} tables once its common table expressions are written out"
            ));
        }
        if done.below.saturating_mul(self.text_bytes) > TEXT_BYTES_MAX {
            return ControlFlow::Break(format!(
                "the query has more than {TEXT_BYTES_MAX} bytes once its columns are written out as what they stand for"
            ));
        }
        let size = Size { relations: done.relations.max(1), columns: done.below.saturating_mul(done.named) };
        let name = self.names.remove(&std::ptr::from_ref(query));
        if let Some(outer) = self.open.last_mut() {
            outer.relations = outer.relations.saturating_add(size.relations);
            if name.is_none() {
                outer.below = outer.below.max(size.columns);
            }
        }
        if let Some(name) = name {
            let known = self.sizes.entry(name).or_insert(TABLE);
            known.relations = known.relations.max(size.relations);
            known.columns = known.columns.max(size.columns);
        }
        ControlFlow::Continue(())
    }
}

/// A name as the planner knows it, or a name that more are equal to.
fn folded(name: &Ident) -> String {
    name.value.to_ascii_lowercase()
}

/// How many columns an expression names.
struct Columns(usize);

impl Visitor for Columns {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        self.0 += usize::from(matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_)));
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::parser::DFParser;
    use schemas::reason::Reason;

    use super::*;

    fn refused(query: &str) -> bool {
        let statement = DFParser::parse_sql(query).expect("it parses").pop_front().expect("one statement");
        match check(&statement, query.len()) {
            Ok(()) => false,
            Err(error) => {
                assert_eq!(error.reason, Reason::SqlForbidden);
                true
            }
        }
    }

    fn chain(levels: usize, level: impl Fn(usize) -> String) -> String {
        let ctes: Vec<String> = (1..=levels).map(|n| format!("a{n} AS ({})", level(n - 1))).collect();
        format!("WITH a0 AS (SELECT 1 x), {} SELECT * FROM a{levels}", ctes.join(", "))
    }

    #[test]
    fn names_that_double_are_refused_and_long_chains_are_not() {
        for form in ["{n} l CROSS JOIN {n} r", "{n} l WHERE x IN (SELECT x FROM {n})", "(SELECT * FROM {n}) l, {n} r"] {
            let double =
                |levels| chain(levels, |n| format!("SELECT l.x FROM {}", form.replace("{n}", &format!("A{n}"))));
            assert!(refused(&double(40)), "{form}");
            assert!(refused(&format!("EXPLAIN {}", double(40))), "{form}");
            assert!(!refused(&double(4)), "{form}");
        }
        assert!(refused(&chain(40, |n| format!("SELECT x FROM a{n} UNION ALL SELECT x FROM a{n}"))));
        assert!(!refused(&chain(400, |n| format!("SELECT x FROM a{n}"))));
        assert!(refused(&chain(400, |n| format!("SELECT x, (SELECT max(x) FROM a{n}) FROM a{n}"))));
    }

    #[test]
    fn columns_that_double_are_refused() {
        assert!(refused(&chain(40, |n| format!("SELECT x || x AS x FROM a{n}"))));
        assert!(refused(&chain(40, |n| format!("SELECT x + y AS x, x + y AS y FROM a{n}"))));
        let nested = (0..15).fold("flows".to_owned(), |below, _| format!("(SELECT x + x + x + x x FROM {below}) t"));
        assert!(refused(&format!("SELECT x FROM {nested}")));
        assert!(!refused(&chain(4, |n| format!("SELECT CASE WHEN x > 1 THEN x ELSE x END x FROM a{n}"))));
    }

    #[test]
    fn a_name_with_a_point_in_it_is_not_mistaken_for_a_table() {
        let ctes: Vec<String> =
            (1..40).map(|n| format!("\"a.{n}\" AS (SELECT 1 FROM a.\"{0}\" l, a.\"{0}\" r)", n - 1)).collect();
        assert!(refused(&format!("WITH \"a.0\" AS (SELECT 1), {} SELECT 1", ctes.join(", "))));
    }

    #[test]
    fn withs_inside_each_other_are_few() {
        let nested = |levels| {
            (0..levels).fold("SELECT 1".to_owned(), |below, n| format!("WITH w{n} AS ({below}) SELECT * FROM w{n}"))
        };
        assert!(!refused(&nested(WITHS_MAX)));
        assert!(refused(&nested(WITHS_MAX + 1)));
    }
}
