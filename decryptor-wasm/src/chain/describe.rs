//! Describes runs in words.

use super::format::is_full;
use crate::{Code, Error, Field, Manifest};

/// The warning about an archive that holds no state by itself.
pub fn caution(manifest: &Manifest) -> Option<Error> {
    if is_full(manifest) {
        return None;
    }
    Some(match &manifest.chain {
        Some(link) => Error::of(Code::RunAlone)
            .with(Field::Run, link.run)
            .with(Field::Other, link.run.saturating_sub(1)),
        None => Code::ChangesAlone.into(),
    })
}

/// Milliseconds since 1970 as date and time of UTC.
pub(super) fn moment(milliseconds: i64) -> String {
    let seconds = milliseconds.div_euclid(1000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Years that begin in March, in eras of 400 years.
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    format!(
        "{:04}-{month:02}-{date:02} {:02}:{:02}:{:02} UTC",
        year + era * 400 + next,
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_utc() {
        for (milliseconds, text) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_400_000, "2000-02-29 00:00:00 UTC"),
            (1_700_000_000_999, "2023-11-14 22:13:20 UTC"),
            (4_107_542_399_000, "2100-02-28 23:59:59 UTC"),
            (4_107_542_400_000, "2100-03-01 00:00:00 UTC"),
            (-1, "1969-12-31 23:59:59 UTC"),
        ] {
            assert_eq!(moment(milliseconds), text);
        }
    }
}
