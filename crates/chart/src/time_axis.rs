//! The scale of time: which slots have a line and what is written below it, in UTC.

use chrono::{DateTime, Timelike as _, Utc};
use domain::Interval;

use crate::series::Drawn;

/// Minutes between two lines, of which the smallest is taken that leaves room for the labels.
const STEPS_MINUTES: [u32; 16] = [1, 2, 5, 10, 15, 20, 30, 60, 120, 180, 240, 360, 720, 1_440, 2 * 1_440, 5 * 1_440];

/// A line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Tick {
    pub(crate) slot: u16,
    pub(crate) label: String,
}

/// The lines of a chart whose slots are so wide, `room` pixels apart at least.
pub(crate) fn ticks(drawn: &Drawn, interval: Interval, slot_width: f32, room: f32) -> Vec<Tick> {
    let fits =
        |step: &u32| step.is_multiple_of(interval.minutes()) && width(*step / interval.minutes(), slot_width) >= room;
    let [.., longest] = STEPS_MINUTES;
    let step = i64::from(STEPS_MINUTES.into_iter().find(fits).unwrap_or(longest)) * 60;
    let interval = i64::from(interval.minutes()) * 60;
    (0..drawn.slots)
        .filter_map(|slot| {
            let opening = drawn.opening(slot)?;
            // The line is in the slot within which the round time is: candles may open at odd times.
            let round = (opening.timestamp() + interval - 1).div_euclid(step) * step;
            let at = DateTime::from_timestamp(round, 0).filter(|_| round >= opening.timestamp())?;
            Some(Tick { slot, label: label(at) })
        })
        .collect()
}

fn width(slots: u32, slot_width: f32) -> f32 {
    f32::from(u16::try_from(slots).unwrap_or(u16::MAX)) * slot_width
}

/// The time of day, and the day where one begins.
fn label(at: DateTime<Utc>) -> String {
    let midnight = at.hour() == 0 && at.minute() == 0;
    if midnight { at.format("%-d %b") } else { at.format("%H:%M") }.to_string()
}
