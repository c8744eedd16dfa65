//! The figures of each plan: what the plan says, unless the installation says otherwise.

use std::collections::HashMap;

use schemas::plan::Plan;

/// Requests with bad credentials that one address may send in any minute.
const FAILURES_PER_MINUTE: u32 = 10;

/// What the orgs of one plan may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PlanFigures {
    pub(super) per_minute: u32,
    pub(super) per_day: Option<u32>,
    pub(super) traffic_per_minute: u32,
    pub(super) streams: u32,
}

/// What everybody may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Figures {
    plans: [PlanFigures; Plan::ALL.len()],
    pub(super) failures_per_minute: u32,
}

impl Default for Figures {
    fn default() -> Self {
        let figures = |plan: Plan| PlanFigures {
            per_minute: plan.requests_per_minute(),
            per_day: plan.requests_per_day(),
            traffic_per_minute: plan.traffic_per_minute(),
            streams: plan.streams_max(),
        };
        Self { plans: Plan::ALL.map(figures), failures_per_minute: FAILURES_PER_MINUTE }
    }
}

impl Figures {
    /// Reads settings like `free.per_minute=100`, `team.per_day=none`, `auth.per_minute=30`. Each that cannot be used is
    /// an error of its own.
    pub(crate) fn read(settings: &[String], errors: &mut Vec<String>) -> Self {
        let (mut figures, mut given) = (Self::default(), HashMap::new());
        for setting in settings.iter().map(|setting| setting.trim()).filter(|setting| !setting.is_empty()) {
            if let Err(why) = figures.set(setting, &mut given) {
                errors.push(format!("--limit {setting}: {why}"));
            }
        }
        figures
    }

    pub(super) fn of(&self, plan: Plan) -> PlanFigures {
        self.plans[plan as usize]
    }

    fn set<'a>(&mut self, setting: &'a str, given: &mut HashMap<&'a str, &'a str>) -> Result<(), String> {
        let (name, value) = setting.split_once('=').ok_or("expected <plan>.<figure>=<number>")?;
        if let Some(earlier) = given.insert(name, value) {
            return Err(format!("{name} is {earlier} already"));
        }
        let (subject, figure) = name.split_once('.').ok_or("expected <plan>.<figure>=<number>")?;
        let number = || value.parse::<u32>().map_err(|_| format!("{value:?} is not a number from 0 to {}", u32::MAX));
        if (subject, figure) == ("auth", "per_minute") {
            self.failures_per_minute = number()?;
            return Ok(());
        }
        let known = Plan::ALL.iter().position(|plan| plan.word() == subject);
        let plan = known.and_then(|index| self.plans.get_mut(index));
        let plan = plan.ok_or_else(|| format!("there is no plan {subject:?} (free, team, enterprise, unmetered)"))?;
        match figure {
            "per_minute" => plan.per_minute = number()?,
            "per_day" => plan.per_day = if value == "none" { None } else { Some(number()?) },
            "traffic_per_minute" => plan.traffic_per_minute = number()?,
            "streams" => plan.streams = number()?,
            _ => {
                let figures = "per_minute, per_day, traffic_per_minute, streams";
                return Err(format!("there is no figure {figure:?} ({figures})"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(settings: &[&str]) -> (Figures, Vec<String>) {
        let mut errors = Vec::new();
        let settings: Vec<String> = settings.iter().map(|setting| (*setting).to_owned()).collect();
        (Figures::read(&settings, &mut errors), errors)
    }

    #[test]
    fn each_plan_has_its_own_figures_unless_told_otherwise() {
        let (figures, errors) = read(&[]);
        assert!(errors.is_empty());
        for plan in Plan::ALL {
            assert_eq!(figures.of(plan).per_minute, plan.requests_per_minute());
            assert_eq!(figures.of(plan).per_day, plan.requests_per_day());
        }
        let (figures, errors) = read(&[
            "free.per_minute=100",
            "free.per_day=none",
            "team.per_day=7",
            "team.streams=1",
            "auth.per_minute=3",
        ]);
        assert!(errors.is_empty(), "{errors:?}");
        assert_eq!((figures.of(Plan::Free).per_minute, figures.of(Plan::Free).per_day), (100, None));
        assert_eq!((figures.of(Plan::Team).per_day, figures.of(Plan::Team).streams), (Some(7), 1));
        assert_eq!(figures.failures_per_minute, 3);
        assert_eq!(figures.of(Plan::Enterprise), Figures::default().of(Plan::Enterprise));
    }

    #[test]
    fn every_bad_setting_is_named() {
        let bad = ["free.per_minute", "gold.per_day=1", "free.per_week=1", "free.per_day=-1", "free=1", "a.b.c=1"];
        let (_, errors) = read(&bad);
        assert_eq!(errors.len(), bad.len(), "{errors:?}");
        for (setting, error) in bad.iter().zip(&errors) {
            assert!(error.starts_with(&format!("--limit {setting}: ")), "{error}");
        }
        assert_eq!(read(&["free.per_day=1", "free.per_day=2"]).1.len(), 1);
    }
}
