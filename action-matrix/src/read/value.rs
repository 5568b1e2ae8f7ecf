//! Values of the wanted type, or a problem that shows one.

use std::ops::Range;

use toml::Spanned;
use toml::de::DeValue;

use crate::problem::Problems;
use crate::rule::Rule;

/// A text, such as `example`.
pub(super) fn text(
    key: &str,
    example: &str,
    value: &Spanned<DeValue<'_>>,
    problems: &mut Problems,
) -> Option<String> {
    if let Some(text) = value.get_ref().as_str() {
        return Some(text.to_owned());
    }
    problems
        .error(
            Rule::WrongType,
            value.span(),
            format!("`{key}` is a text"),
            format!("this is {}", kind(value.get_ref())),
        )
        .remedy(format!("write it in quotes: {example}"));
    None
}

/// A list of texts, such as `example`, each with its place.
pub(super) fn texts(
    key: &str,
    example: &str,
    value: &Spanned<DeValue<'_>>,
    problems: &mut Problems,
) -> Option<Vec<(String, Range<usize>)>> {
    let mut wrong = |at: Range<usize>, found: &DeValue<'_>| {
        problems
            .error(
                Rule::WrongType,
                at,
                format!("`{key}` is a list of texts"),
                format!("this is {}", kind(found)),
            )
            .remedy(format!("write {example}"));
    };
    let Some(list) = value.get_ref().as_array() else {
        wrong(value.span(), value.get_ref());
        return None;
    };
    let mut texts = Vec::new();
    let mut good = true;
    for element in list.iter() {
        match element.get_ref().as_str() {
            Some(text) => texts.push((text.to_owned(), element.span())),
            None => {
                wrong(element.span(), element.get_ref());
                good = false;
            }
        }
    }
    good.then_some(texts)
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
