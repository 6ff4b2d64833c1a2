//! The log as JSON lines: an event's fields beside `timestamp`, `level` and `target`, and those of the
//! span that it is in under `span`.
//!
//! The lines of `tracing-subscriber`'s own JSON format, without parsing the span's fields anew for
//! each event and without maps in between: every request writes a line, and with that format the log
//! took a quarter of the time that serving a read takes.

use std::fmt::{self, Debug};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_log::NormalizeEvent as _;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// A line an event.
pub(super) struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut line: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        // What comes through the `log` crate has its real place in fields.
        let of_log = event.normalized_metadata();
        let about = of_log.as_ref().unwrap_or_else(|| event.metadata());
        line.write_str(r#"{"timestamp":""#)?;
        SystemTime.format_time(&mut line)?;
        write!(line, r#"","level":"{}""#, about.level())?;
        context.format_fields(line.by_ref(), event)?;
        line.write_str(r#","target":"#)?;
        write_string(&mut line, about.target())?;
        if let Some(span) = context.lookup_current() {
            line.write_str(r#","span":{"name":"#)?;
            write_string(&mut line, span.name())?;
            if let Some(fields) = span.extensions().get::<FormattedFields<N>>() {
                line.write_str(fields)?;
            }
            line.write_char('}')?;
        }
        line.write_str("}\n")
    }
}

/// The fields of an event or a span as members of an object that has one already: `,"name":value`.
pub(super) struct Members;

impl<'writer> FormatFields<'writer> for Members {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut visitor = Visitor { writer, written: Ok(()) };
        fields.record(&mut visitor);
        visitor.written
    }
}

struct Visitor<'writer> {
    writer: Writer<'writer>,
    written: fmt::Result,
}

impl Visitor<'_> {
    fn member(&mut self, field: &Field, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        if self.written.is_ok() && !field.name().starts_with("log.") {
            // Names are those in the source, where nothing has to be escaped.
            let name = [",\"", field.name(), "\":"];
            self.written = name
                .into_iter()
                .try_for_each(|part| self.writer.write_str(part))
                .and_then(|()| value(&mut self.writer));
        }
    }
}

impl Visit for Visitor<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.member(field, |writer| {
            if value.is_finite() { write!(writer, "{value}") } else { writer.write_str("null") }
        });
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.member(field, |writer| write!(writer, "{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.member(field, |writer| write!(writer, "{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.member(field, |writer| write!(writer, "{value}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.member(field, |writer| write_string(writer, value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

fn write_string(writer: &mut Writer<'_>, value: &str) -> fmt::Result {
    if value.bytes().any(|byte| byte < b' ' || matches!(byte, b'"' | b'\\')) {
        let escaped = serde_json::to_string(value).map_err(|_| fmt::Error)?;
        return writer.write_str(&escaped);
    }
    writer.write_char('"')?;
    writer.write_str(value)?;
    writer.write_char('"')
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex, PoisonError};

    use serde_json::{Value, json};
    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Kept {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    /// The lines that are written meanwhile, without their times, which are checked.
    fn lines(during: impl FnOnce()) -> Vec<Value> {
        let kept = Kept::default();
        let subscriber = tracing_subscriber::fmt()
            .fmt_fields(Members)
            .event_format(JsonLines)
            .with_writer(kept.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, during);
        let bytes = kept.0.lock().unwrap();
        let text = std::str::from_utf8(&bytes).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'));
        text.lines()
            .map(|line| {
                let mut line: Value = serde_json::from_str(line).unwrap();
                let at = line.as_object_mut().unwrap().shift_remove("timestamp").unwrap();
                chrono::DateTime::parse_from_rfc3339(at.as_str().unwrap()).unwrap();
                line
            })
            .collect()
    }

    #[test]
    fn every_kind_of_field_is_a_value_of_json() {
        let error = io::Error::other("it \"broke\"");
        let error: &(dyn std::error::Error + 'static) = &error;
        let written = lines(|| {
            tracing::warn!(
                text = "quote \" backslash \\ line\n bell \u{7} \u{1f600}",
                integer = -1,
                natural = u64::MAX,
                share = 0.25,
                whole = 2.0,
                endless = f64::INFINITY,
                no_number = f64::NAN,
                yes = true,
                shown = %"a\tb",
                debugged = ?Some("c"),
                error,
                "said {}", "\"so\""
            );
        });
        let expected = json!({
            "level": "WARN",
            "message": "said \"so\"",
            "text": "quote \" backslash \\ line\n bell \u{7} \u{1f600}",
            "integer": -1,
            "natural": u64::MAX,
            "share": 0.25,
            "whole": 2,
            "endless": null,
            "no_number": null,
            "yes": true,
            "shown": "a\tb",
            "debugged": "Some(\"c\")",
            "error": "it \"broke\"",
            "target": module_path!(),
        });
        assert_eq!(written, [expected]);
    }

    #[test]
    fn what_another_library_logs_has_that_librarys_name() {
        let written = lines(|| {
            let record = tracing_log::log::Record::builder()
                .level(tracing_log::log::Level::Warn)
                .target("rustls")
                .module_path(Some("rustls::verify"))
                .args(format_args!("no \"certificate\""))
                .build();
            tracing_log::format_trace(&record).unwrap();
        });
        let expected =
            json!({ "level": "WARN", "message": "no \"certificate\"", "target": "rustls" });
        assert_eq!(written, [expected]);
    }

    #[test]
    fn a_line_has_the_fields_of_the_innermost_span_and_what_it_was_told_later() {
        let written = lines(|| {
            tracing::info!("before");
            let outer = tracing::info_span!("outer", a = 1).entered();
            let span =
                tracing::info_span!("inner", path = "/\"", later = tracing::field::Empty).entered();
            tracing::info!("first");
            span.record("later", "told");
            tracing::info!("second");
            drop(span);
            drop(outer);
            drop(tracing::info_span!("bare").entered());
        });
        let spans: Vec<_> = written.iter().map(|line| line.get("span")).collect();
        let (first, second) = (
            json!({"name": "inner", "path": "/\""}),
            json!({"name": "inner", "path": "/\"", "later": "told"}),
        );
        assert_eq!(spans, [None, Some(&first), Some(&second)]);
    }
}
