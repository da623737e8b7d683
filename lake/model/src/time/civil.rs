//! Dates of the proleptic Gregorian calendar, and their text form `YYYY-MM-DD`.

use super::pairs::{pairs, two_digits};

/// Days since 1970-01-01 of a date `YYYY-MM-DD`.
pub(crate) fn parse_date(bytes: &[u8]) -> Option<i32> {
    const YEAR_AND_MONTH: u64 = u64::from_le_bytes(*b"0000-00-");
    let Some((start, &[tens, units])) = bytes.split_first_chunk() else { return None };
    let [hundreds, _, years, _, _, month, ..] = pairs::<YEAR_AND_MONTH>(*start)?.map(u32::from);
    let (year, day) = (hundreds * 100 + years, two_digits(tens, units)?);
    let good = (1..=12).contains(&month) && (1..=days_in_month(year, month)).contains(&day);
    good.then(|| days_from_civil(year, month, day))
}

fn days_in_month(year: u32, month: u32) -> u32 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn is_leap(year: u32) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar, in years that begin on 1 March and are counted from 400
/// years before year 0, so that none is negative (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms",
/// `days_from_civil`).
fn days_from_civil(year: u32, month: u32, day: u32) -> i32 {
    let year = year + 400 - u32::from(month <= 2);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = year * 365 + year / 4 - year / 100 + year / 400 + day_of_year;
    days.cast_signed() - 146_097 - 719_468
}

/// Year, month and day of a count of days since 1970-01-01 (the inverse, `civil_from_days`).
pub(crate) fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = (shifted_month + 2) % 12 + 1;
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_four_digit_years_follows_the_one_before() {
        let mut expected = days_from_civil(1970, 1, 1);
        assert_eq!(expected, 0);
        expected -= 719_528;
        for (year, month) in (0..10_000).flat_map(|year| (1..=12).map(move |month| (year, month))) {
            for day in 1..=days_in_month(year, month) {
                assert_eq!(days_from_civil(year, month, day), expected, "{year}-{month}-{day}");
                let date = [year, month, day].map(i64::from);
                assert_eq!(<[i64; 3]>::from(civil_from_days(expected.into())), date);
                expected += 1;
            }
        }
        assert_eq!(expected, days_from_civil(9999, 12, 31) + 1);
    }
}
