//! Reading one table of a TOML file key by key: every key is asked for, and one that nobody asked for is a mistake.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Page, Text};

/// A value and its place in the text.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) span: Range<usize>,
}

/// A table while it is read.
pub(super) struct Table<'a> {
    table: &'a DeTable<'a>,
    span: Range<usize>,
    /// `[api]`, or empty for the top of the file.
    name: &'static str,
    known: BTreeSet<&'static str>,
}

/// Parses a text; `None` where it is no TOML, which is then reported.
pub(super) fn parse<'a>(text: &'a Text, page: &mut Page<'_>) -> Option<Spanned<DeTable<'a>>> {
    let (table, errors) = DeTable::parse_recoverable(text.text());
    // After a few the parser has lost its place.
    for error in errors.iter().take(5) {
        let message = format!("not TOML: {}", error.message().replace('\n', " "));
        let remedy = if error.message().contains("duplicate key") {
            "a key may stand once in a table: remove one, or begin a new table with its `[[...]]`"
        } else {
            "a line is `key = value`, `[table]`, `[[list]]` or, after a `#`, a comment; texts have quotes"
        };
        page.error(&error.span().unwrap_or(0..0), message, "", remedy);
    }
    errors.is_empty().then_some(table)
}

impl<'a> Table<'a> {
    /// The top of a file.
    pub(super) fn top(table: &'a Spanned<DeTable<'a>>) -> Self {
        Self { table: table.get_ref(), span: 0..0, name: "", known: BTreeSet::new() }
    }

    /// Where the table stands.
    pub(super) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// The value of a key, if it is there.
    pub(super) fn value(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.known.insert(key);
        self.table.iter().find(|(name, _)| name.get_ref() == key).map(|(_, value)| value)
    }

    /// A text that is looked at before its table is read; `None` also where it is something else.
    pub(super) fn peek(&self, key: &str) -> Option<&'a str> {
        let found = self.table.iter().find(|(name, _)| name.get_ref() == key);
        found.and_then(|(_, value)| value.get_ref().as_str())
    }

    /// A key that must be there.
    fn needed(
        &mut self,
        key: &'static str,
        example: &str,
        page: &mut Page<'_>,
    ) -> Option<&'a Spanned<DeValue<'a>>> {
        let value = self.value(key);
        if value.is_none() {
            let place = if self.name.is_empty() { "the file" } else { self.name };
            page.error(
                &self.span,
                format!("`{key}` is missing in {place}"),
                "",
                format!("add {example}"),
            );
        }
        value
    }

    /// A text that must be there and is understood by `read`; `example` is a whole line.
    pub(super) fn read<T, E: fmt::Display>(
        &mut self,
        key: &'static str,
        example: &str,
        page: &mut Page<'_>,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<At<T>> {
        let value = self.needed(key, example, page)?;
        text(key, value, example, page, read)
    }

    /// A text that may be there.
    pub(super) fn read_if<T, E: fmt::Display>(
        &mut self,
        key: &'static str,
        example: &str,
        page: &mut Page<'_>,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<At<T>> {
        let value = self.value(key)?;
        text(key, value, example, page, read)
    }

    /// A file's path; a relative one begins at the folder of the configuration.
    pub(super) fn path(
        &mut self,
        key: &'static str,
        example: &str,
        folder: &Path,
        page: &mut Page<'_>,
    ) -> Option<At<PathBuf>> {
        self.read(key, example, page, |text| path(folder, text))
    }

    /// A whole number in a range.
    pub(super) fn number(
        &mut self,
        key: &'static str,
        example: &str,
        range: std::ops::RangeInclusive<u64>,
        page: &mut Page<'_>,
    ) -> Option<At<u64>> {
        let value = self.needed(key, example, page)?;
        let number = value.get_ref().as_integer().and_then(|number| {
            u64::from_str_radix(number.as_str(), number.radix()).ok().filter(|n| range.contains(n))
        });
        if number.is_none() {
            let message =
                format!("`{key}` must be a number from {} to {}", range.start(), range.end());
            page.error(&value.span(), message, "", format!("write {example}"));
        }
        number.map(|number| At { value: number, span: value.span() })
    }

    /// A whole number in a range that may be there.
    pub(super) fn number_if(
        &mut self,
        key: &'static str,
        example: &str,
        range: std::ops::RangeInclusive<u64>,
        page: &mut Page<'_>,
    ) -> Option<At<u64>> {
        self.value(key)?;
        self.number(key, example, range, page)
    }

    /// One text or a list of texts; empty where there is none.
    pub(super) fn list(
        &mut self,
        key: &'static str,
        example: &str,
        page: &mut Page<'_>,
    ) -> Vec<String> {
        self.list_at(key, example, page).into_iter().map(|at| at.value).collect()
    }

    /// As [`Table::list`], each with its place.
    pub(super) fn list_at(
        &mut self,
        key: &'static str,
        example: &str,
        page: &mut Page<'_>,
    ) -> Vec<At<String>> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let one = std::slice::from_ref(value);
        let values: Vec<_> = match value.get_ref().as_array() {
            Some(list) => list.iter().collect(),
            None => one.iter().collect(),
        };
        values.into_iter().filter_map(|value| text(key, value, example, page, some)).collect()
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, key: &'static str, default: bool, page: &mut Page<'_>) -> bool {
        let Some(value) = self.value(key) else { return default };
        value.get_ref().as_bool().unwrap_or_else(|| {
            page.error(
                &value.span(),
                format!("`{key}` must be true or false"),
                "",
                "write it without quotes",
            );
            default
        })
    }

    /// A table within this one, if it is there.
    pub(super) fn table(
        &mut self,
        key: &'static str,
        name: &'static str,
        page: &mut Page<'_>,
    ) -> Option<Table<'a>> {
        let value = self.value(key)?;
        let table = table(value, name);
        if table.is_none() {
            page.error(
                &value.span(),
                format!("`{key}` is a table"),
                "",
                format!("write it as {name}"),
            );
        }
        table
    }

    /// The tables of a list such as `[[network]]`.
    pub(super) fn tables(
        &mut self,
        key: &'static str,
        name: &'static str,
        page: &mut Page<'_>,
    ) -> Vec<Table<'a>> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let list = value.get_ref().as_array();
        let tables: Option<Vec<_>> =
            list.and_then(|list| list.iter().map(|value| table(value, name)).collect());
        tables.unwrap_or_else(|| {
            let remedy = format!("write {name}, with two brackets, above each");
            page.error(&value.span(), format!("`{key}` is a list of tables"), "", remedy);
            Vec::new()
        })
    }

    /// A table within this one, or a list of them; empty where there is neither.
    pub(super) fn one_or_more(
        &mut self,
        key: &'static str,
        name: &'static str,
        page: &mut Page<'_>,
    ) -> Vec<Table<'a>> {
        let is_list = self.value(key).is_some_and(|value| value.get_ref().as_array().is_some());
        if is_list {
            return self.tables(key, name, page);
        }
        self.table(key, name, page).into_iter().collect()
    }

    /// A table of texts whose keys are somebody else's; empty where there is none, `None` where it is wrong.
    pub(super) fn texts(
        &mut self,
        key: &'static str,
        name: &'static str,
        page: &mut Page<'_>,
    ) -> Option<BTreeMap<String, String>> {
        if self.value(key).is_none() {
            return Some(BTreeMap::new());
        }
        let (mut all, mut wrong) = (BTreeMap::new(), false);
        for (key, value) in self.table(key, name, page)?.table {
            let example = "a text in quotes, such as ip = \"10.9.0.11\"";
            let read = |text: &str| Ok::<_, std::convert::Infallible>(text.to_owned());
            let read = text(key.get_ref(), value, example, page, read);
            match read {
                Some(read) => drop(all.insert(key.get_ref().to_string(), read.value)),
                None => wrong = true,
            }
        }
        (!wrong).then_some(all)
    }

    /// One address for each network: a list in the order of the networks, or a table by their names.
    pub(super) fn addresses(
        &mut self,
        key: &'static str,
        networks: &[String],
        page: &mut Page<'_>,
    ) -> Option<Vec<At<std::net::SocketAddr>>> {
        let example = example_addresses(key, networks);
        let value = self.needed(key, &example, page)?;
        let wrong = |page: &mut Page<'_>, span: &Range<usize>, message: String| {
            page.error(span, message, "", format!("write {example}"));
            None
        };
        let found: Vec<&Spanned<DeValue<'_>>> = match value.get_ref() {
            DeValue::Array(list) => list.iter().collect(),
            DeValue::Table(table) => {
                let strange =
                    table.keys().find(|name| !networks.iter().any(|n| n == name.get_ref()));
                if let Some(name) = strange {
                    let message = format!("{} is no [[network]]", name.get_ref());
                    return wrong(page, &name.span(), message);
                }
                networks.iter().filter_map(|network| table.get(network.as_str())).collect()
            }
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => {
                return wrong(page, &value.span(), format!("`{key}` is a list of addresses"));
            }
        };
        if found.len() != networks.len() {
            let (is, must) = (found.len(), networks.len());
            let message = format!("`{key}` needs {must}, one for each network, and has {is}");
            return wrong(page, &value.span(), message);
        }
        let read = |value: &&Spanned<DeValue<'_>>| text(key, value, &example, page, address);
        let read: Vec<_> = found.iter().map(read).collect();
        read.into_iter().collect()
    }

    /// Reports the keys that nobody asked for.
    pub(super) fn finish(self, page: &mut Page<'_>) {
        let mut strange: Vec<_> =
            self.table.keys().filter(|key| !self.known.contains(&**key.get_ref())).collect();
        strange.sort_by_key(|key| key.span().start);
        for key in strange {
            let place =
                if self.name.is_empty() { "at the top" } else { &format!("in {}", self.name) };
            let known: Vec<_> = self.known.iter().copied().collect();
            let near = self.known.iter().find(|known| is_near(known, key.get_ref()));
            let remedy = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("remove it; there may be {}", known.join(", ")),
            };
            let message = format!("unknown key `{}` {place}", key.get_ref().escape_debug());
            page.error(&key.span(), message, "", remedy);
        }
    }
}

fn table<'a>(value: &'a Spanned<DeValue<'a>>, name: &'static str) -> Option<Table<'a>> {
    let table = value.get_ref().as_table()?;
    Some(Table { table, span: value.span(), name, known: BTreeSet::new() })
}

fn text<T, E: fmt::Display>(
    key: &str,
    value: &Spanned<DeValue<'_>>,
    example: &str,
    page: &mut Page<'_>,
    read: impl FnOnce(&str) -> Result<T, E>,
) -> Option<At<T>> {
    let span = value.span();
    let Some(text) = value.get_ref().as_str() else {
        page.error(
            &span,
            format!("`{key}` must be a text in quotes"),
            "",
            format!("write {example}"),
        );
        return None;
    };
    match read(text) {
        Ok(value) => Some(At { value, span }),
        Err(why) => {
            page.error(&span, format!("`{key}`: {why}"), "", format!("write {example}"));
            None
        }
    }
}

/// Any text that is not empty.
pub(super) fn some(text: &str) -> Result<String, &'static str> {
    if text.trim().is_empty() { Err("must not be empty") } else { Ok(text.to_owned()) }
}

/// An address to which others can send.
pub(super) fn address(text: &str) -> Result<std::net::SocketAddr, &'static str> {
    let address = std::net::SocketAddr::from_str(text)
        .map_err(|_| "must be an IP address with a port; names are not looked up")?;
    if address.ip().is_unspecified() || address.port() == 0 {
        return Err("others cannot send to this address");
    }
    Ok(address)
}

/// A UUID.
pub(super) fn uuid(text: &str) -> Result<uuid::Uuid, &'static str> {
    uuid::Uuid::try_parse(text).map_err(|_| "must be a UUID, 32 hexadecimal digits in five groups")
}

/// A time with its unit.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| error.to_string())
}

/// A path; a relative one begins at `folder`.
pub(super) fn path(folder: &Path, text: &str) -> Result<PathBuf, &'static str> {
    some(text).map(|text| folder.join(text))
}

/// A name of RFC 1123: nothing in it can disturb a log line or a metric.
pub(super) fn host_name(text: &str) -> Result<String, &'static str> {
    let label = |label: &str| {
        let inner = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        (1..=63).contains(&label.len()) && inner && !label.starts_with('-') && !label.ends_with('-')
    };
    if text.len() <= 253 && text.split('.').all(label) {
        Ok(text.to_owned())
    } else {
        Err("must be a host name: letters, digits, `-` and `.`")
    }
}

fn example_addresses(key: &str, networks: &[String]) -> String {
    let each: Vec<_> =
        networks.iter().map(|network| format!("{network} = \"10.0.0.1:7946\"")).collect();
    format!("{key} = {{ {} }}", each.join(", "))
}

/// One letter changed, added or missing, or two swapped.
fn is_near(known: &str, word: &str) -> bool {
    let (a, b) = (known.as_bytes(), word.as_bytes());
    if a.len().abs_diff(b.len()) > 1 {
        return false;
    }
    let head = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let tail = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count();
    head + tail + 1 >= a.len().max(b.len())
        || (a.len() == b.len() && head + tail + 2 >= a.len() && swapped(&a[head..], &b[head..]))
}

fn swapped(a: &[u8], b: &[u8]) -> bool {
    matches!((a, b), ([x, y, ..], [v, w, ..]) if x == w && y == v)
}
