//! What the bench says in the end.

use std::{collections::BTreeMap, fmt::Write};

use serde::Serialize;

use super::{history::Check, processes::CpuSeconds, talker::Told};

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    pub pairs: u32,
    pub in_flight: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_per_second: Option<u32>,
    pub seconds: u64,
    pub text_characters: u32,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Percentiles {
    p50_ms: f64,
    p99_ms: f64,
    p999_ms: f64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    settings: Settings,
    /// Delivered to the other person, within the measured time.
    messages_per_second: f64,
    send_to_ack: Percentiles,
    send_to_delivered: Percentiles,
    cpu_seconds_per_1000_messages: BTreeMap<String, f64>,
    errors: u64,
    unacknowledged: u64,
    pub history: Check,
}

impl Report {
    #[expect(clippy::cast_precision_loss, reason = "counts of a short run fit by far")]
    pub fn new(settings: Settings, told: Told, spent: CpuSeconds, history: Check) -> Self {
        let thousands = (told.delivered as f64 / 1_000.0).max(f64::MIN_POSITIVE);
        Self {
            messages_per_second: round(told.delivered as f64 / settings.seconds as f64),
            settings,
            send_to_ack: Percentiles::of(told.acked_us),
            send_to_delivered: Percentiles::of(told.delivered_us),
            cpu_seconds_per_1000_messages: spent
                .0
                .into_iter()
                .map(|(name, seconds)| (name, round(seconds / thousands)))
                .collect(),
            errors: told.errors,
            unacknowledged: told.unacknowledged,
            history,
        }
    }

    pub fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|error| error.to_string())
    }

    /// The same for people.
    pub fn line(&self) -> String {
        let mut line = format!(
            "{:.0} messages/s; ack p50 {} ms, p99 {} ms, p99.9 {} ms; \
             delivered p50 {} ms, p99 {} ms, p99.9 {} ms; CPU seconds per 1,000 messages:",
            self.messages_per_second,
            self.send_to_ack.p50_ms,
            self.send_to_ack.p99_ms,
            self.send_to_ack.p999_ms,
            self.send_to_delivered.p50_ms,
            self.send_to_delivered.p99_ms,
            self.send_to_delivered.p999_ms,
        );
        for (name, seconds) in &self.cpu_seconds_per_1000_messages {
            // Writing to a string cannot fail.
            let _ = write!(line, " {name} {seconds}");
        }
        let verdict = if self.history.is_good() { "every one" } else { "NOT every one" };
        let _ = write!(
            line,
            "; {} acknowledged, {verdict} in history exactly once",
            self.history.acknowledged
        );
        line
    }
}

impl Percentiles {
    fn of(mut micros: Vec<u32>) -> Self {
        micros.sort_unstable();
        let at = |per_mille: usize| {
            let place = (micros.len() * per_mille / 1_000).min(micros.len().saturating_sub(1));
            micros.get(place).map_or(0.0, |micros| round(f64::from(*micros) / 1_000.0))
        };
        Self { p50_ms: at(500), p99_ms: at(990), p999_ms: at(999) }
    }
}

fn round(number: f64) -> f64 {
    (number * 1_000.0).round() / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::Percentiles;

    #[test]
    fn percentiles_are_of_the_sorted_latencies() {
        let latencies = Percentiles::of((1..=1_000).rev().map(|ms| ms * 1_000).collect());
        assert_eq!(
            (latencies.p50_ms, latencies.p99_ms, latencies.p999_ms),
            (501.0, 991.0, 1_000.0)
        );
        let none = Percentiles::of(Vec::new());
        assert_eq!((none.p50_ms, none.p999_ms), (0.0, 0.0));
    }
}
