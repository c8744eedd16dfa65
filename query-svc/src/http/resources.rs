//! The routes of every kind of resource: list, one, history, and what refers to it.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use gate::list::Cut;
use gate::openapi::Described;
use gate::{Caller, IfNoneMatch, List, ListQuery, Min, Path, Problem, Query, Selected, etagged, list};
use schemas::access::Verb;
use schemas::kind::Kind;
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;

use super::events::invalid;
use super::past::{answered, at_parameter};
use super::{App, history, used_by};
use crate::shown::{Shown, rows};

/// A question that looks into more rows than these is answered on threads of its own.
pub(super) const ROWS_INLINE_MAX: usize = 2_000;

macro_rules! all_routes {
    ($($name:ident $table:ident $id:ident $new:ident $module:ident,)*) => {
        pub(super) fn router() -> OpenApiRouter<App> {
            OpenApiRouter::new()
                $(.merge(routes::<schemas::$module::$name>(&Names::of(Kind::$name))))*
                $(.merge(aliases::<schemas::$module::$name>()))*
        }
    };
}

schemas::for_each_resource!(all_routes);

/// What a kind is called in paths and in the names of operations.
pub(super) struct Names {
    pub(super) path: &'static str,
    pub(super) plural: &'static str,
    pub(super) singular: &'static str,
    pub(super) tag: String,
}

impl Names {
    fn of(kind: Kind) -> Self {
        let tag = kind.plural().replace('_', "-");
        Self { path: kind.path(), plural: kind.plural(), singular: kind.singular(), tag }
    }

    /// Other paths under which a kind is found.
    fn aliases(kind: Kind) -> Vec<Self> {
        let named = |path, plural, singular| vec![Self { path, plural, singular, ..Self::of(kind) }];
        if kind == Kind::Zone {
            named("/firewall/zones", "firewall_zones", "firewall_zone")
        } else if kind == Kind::ApiToken {
            named("/tokens", "tokens", "token")
        } else if kind == Kind::Device {
            named("/peers", "peers", "peer")
        } else {
            Vec::new()
        }
    }
}

fn aliases<T: Shown>() -> OpenApiRouter<App> {
    let aliases = Names::aliases(T::KIND);
    aliases.iter().fold(OpenApiRouter::new(), |router, names| router.merge(routes::<T>(names)))
}

fn routes<T: Shown>(names: &Names) -> OpenApiRouter<App> {
    let (path, words) = (names.path, T::KIND.plural().replace('_', " "));
    let all = Described::get(path, &format!("list_{}", names.plural), &names.tag, &format!("Lists the {words}."))
        .takes::<ListQuery>()
        .takes::<Min>()
        .takes_one(at_parameter())
        .lists::<T::View>();
    let summary = format!("Shows one of the {words}.");
    let mut one = Described::get(&format!("{path}/{{id}}"), &format!("show_{}", names.singular), &names.tag, &summary)
        .of::<T::Id>()
        .takes::<OneQuery>()
        .takes::<Min>()
        .takes_one(at_parameter())
        .shows::<T::View>();
    if T::IS_STORED_FORM {
        one = one.may_be_known();
    }
    OpenApiRouter::new()
        .routes(all.to(get(self::all::<T>)))
        .routes(one.to(get(self::one::<T>)))
        .routes(history::route::<T>(names))
        .routes(used_by::route::<T>(names))
}

/// Lists what the caller may see.
async fn all<T: Shown>(
    State(app): State<App>,
    caller: Caller,
    min: Min,
    mut query: ListQuery,
) -> Result<Response, Problem> {
    caller.may(Verb::Read, T::KIND)?;
    if let Cut::Newest { before_id: Some(id), .. } = query.cut() {
        id.parse::<T::Id>().map_err(|bad| invalid("before_id", &bad.to_string()))?;
    }
    let org = app.see_at(&caller, min, query.take("at")).await?;
    let fields = app.fields.of(T::KIND);
    // Without a question about their fields, rows are written as they are.
    let is_whole = query.sort().is_empty() && query.filters().is_empty();
    let is_paged = matches!(query.cut(), Cut::Page { .. });
    let seen = app.seen(caller, org.clone());
    let is_quick = is_paged && is_whole && T::sees_all(&seen);
    let is_short = is_quick || T::table(&org.models.state).len() <= ROWS_INLINE_MAX;
    let page = app.paged(is_short, move || list(rows::<T>(&seen, is_whole), &fields, &query));
    Ok(answered(page.await?, &org))
}

/// What a single read may be asked for.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct OneQuery {
    /// Only these fields come back, with commas between them: id,name,metadata.team
    fields: Option<String>,
    #[param(ignore)]
    at: Option<String>,
}

async fn one<T: Shown>(
    State(app): State<App>,
    caller: Caller,
    min: Min,
    known: IfNoneMatch,
    Path(id): Path<T::Id>,
    Query(query): Query<OneQuery>,
) -> Result<Response, Problem> {
    caller.may(Verb::Read, T::KIND)?;
    let org = app.see_at(&caller, min, query.at).await?;
    let seen = app.seen(caller, org.clone());
    let found = T::find(id, &seen).ok_or_else(|| Problem::not_found(T::KIND, id))?;
    let revision = found.revision();
    if T::IS_STORED_FORM && known.has(revision) {
        return Ok(answered(etagged(StatusCode::NOT_MODIFIED, revision), &org));
    }
    let body = match (query.fields, org.models.stored(id.into())) {
        (None, Some(stored)) => stored.get().as_bytes().to_vec(),
        (fields, _) => {
            let mut body = Vec::new();
            Selected::parse(fields.as_deref(), &app.fields.of(T::KIND))?
                .write(found.view(&seen).as_ref(), &mut body)?;
            body
        }
    };
    Ok(answered(etagged(json(body), revision), &org))
}

/// An answer of JSON that is written already.
fn json(body: Vec<u8>) -> Response {
    ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
}

impl App {
    /// Makes a page; a long list is gone through on threads of the engine, where it holds up nobody.
    pub(super) async fn paged(
        &self,
        is_short: bool,
        work: impl FnOnce() -> Result<List, Problem> + Send + 'static,
    ) -> Result<List, Problem> {
        if is_short { work() } else { self.engine.spawn_cpu(work).await? }
    }
}
