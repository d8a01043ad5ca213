//! Which backups are kept: the last ones, all of a span of time, and the last of each of the last days, weeks and months that have any.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};

/// Rules for what is kept; days, weeks and months are those of UTC.
#[derive(Debug, Clone, Copy, Default)]
pub struct Keep {
    /// The last so many backups.
    pub last: u32,
    /// All that are not older, in milliseconds.
    pub within: Option<i64>,
    /// The last backup of each of the last so many days that have one.
    pub daily: u32,
    /// The same for weeks.
    pub weekly: u32,
    /// The same for months.
    pub monthly: u32,
}

/// For each of `times`, newest first, the rules that keep it at the moment `now`; none: it goes.
pub fn reasons(times: &[Timestamp], keep: &Keep, now: Timestamp) -> Vec<Vec<&'static str>> {
    let mut reasons = vec![Vec::new(); times.len()];
    for (reasons, _) in reasons.iter_mut().zip(0..keep.last) {
        reasons.push("last");
    }
    let within = keep.within.map(SignedDuration::from_millis);
    let within = within.and_then(|within| now.checked_sub(within).ok());
    for (reasons, time) in reasons.iter_mut().zip(times) {
        if within.is_some_and(|earliest| *time >= earliest) {
            reasons.push("within");
        }
    }
    let mut each = |name, count: u32, period: fn(Date) -> (i16, i8, i8)| {
        let mut newest: BTreeMap<(i16, i8, i8), usize> = BTreeMap::new();
        for (at, time) in times.iter().enumerate() {
            newest.entry(period(day(*time))).or_insert(at);
        }
        for at in newest.into_values().rev().take(count as usize) {
            if let Some(reasons) = reasons.get_mut(at) {
                reasons.push(name);
            }
        }
    };
    each("daily", keep.daily, |day| {
        (day.year(), day.month(), day.day())
    });
    each("weekly", keep.weekly, |day| {
        let week = day.iso_week_date();
        (week.year(), week.week(), 0)
    });
    each("monthly", keep.monthly, |day| (day.year(), day.month(), 0));
    reasons
}

/// In UTC, so that it does not depend on where the backups lie.
fn day(time: Timestamp) -> Date {
    time.to_zoned(TimeZone::UTC).date()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn kept(times: &[&str], keep: &Keep) -> Vec<String> {
        let mut times: Vec<Timestamp> = times.iter().map(|t| t.parse().unwrap()).collect();
        times.sort();
        times.reverse();
        let now = "2026-11-25T00:00:00Z".parse().unwrap();
        let reasons = reasons(&times, keep, now);
        let kept = times.iter().zip(reasons).filter(|(_, why)| !why.is_empty());
        kept.map(|(time, why)| format!("{time} {}", why.join("+")))
            .collect()
    }

    const NONE: Keep = Keep {
        last: 0,
        within: None,
        daily: 0,
        weekly: 0,
        monthly: 0,
    };

    #[test]
    fn the_newest_of_each_period_that_has_any_stays() {
        let times = [
            "2026-11-24T03:00:00Z",
            "2026-11-24T01:00:00Z",
            // A gap of days does not count.
            "2026-11-20T23:59:59Z",
            "2026-11-19T12:00:00Z",
            // ISO week 53 of 2026 goes on into 2027; these are another week, month and year.
            "2026-01-01T00:00:00Z",
            "2025-12-31T00:00:00Z",
        ];
        let last = Keep { last: 2, ..NONE };
        assert_eq!(
            kept(&times, &last),
            ["2026-11-24T03:00:00Z last", "2026-11-24T01:00:00Z last"]
        );
        let within = Keep {
            within: Some(5 * 86_400_000),
            ..NONE
        };
        assert_eq!(
            kept(&times, &within),
            [
                "2026-11-24T03:00:00Z within",
                "2026-11-24T01:00:00Z within",
                "2026-11-20T23:59:59Z within"
            ]
        );
        let daily = Keep { daily: 2, ..NONE };
        assert_eq!(
            kept(&times, &daily),
            ["2026-11-24T03:00:00Z daily", "2026-11-20T23:59:59Z daily"]
        );
        let weekly = Keep { weekly: 3, ..NONE };
        assert_eq!(
            kept(&times, &weekly),
            [
                "2026-11-24T03:00:00Z weekly",
                "2026-11-20T23:59:59Z weekly",
                "2026-01-01T00:00:00Z weekly"
            ]
        );
        let monthly = Keep {
            last: 1,
            monthly: 9,
            ..NONE
        };
        assert_eq!(
            kept(&times, &monthly),
            [
                "2026-11-24T03:00:00Z last+monthly",
                "2026-01-01T00:00:00Z monthly",
                "2025-12-31T00:00:00Z monthly"
            ]
        );
    }
}
