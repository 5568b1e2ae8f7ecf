//! What an agent says of itself: the names in its XML description, and nothing else of it.

use std::collections::BTreeSet;

use super::{Action, AgentFailure};

/// Parameters and actions of an agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    parameters: BTreeSet<String>,
    actions: BTreeSet<String>,
    /// It cuts a machine from storage or network, and switches it back by itself.
    fabric: bool,
}

impl Metadata {
    /// Reads a description.
    ///
    /// # Errors
    /// [`AgentFailure::NoMetadata`]: it is none.
    pub fn parse(text: &str) -> Result<Self, AgentFailure> {
        if !text.contains("<resource-agent") {
            let words = text.chars().take(80).map(|c| if c.is_control() { ' ' } else { c });
            return Err(AgentFailure::NoMetadata(words.collect()));
        }
        let mut metadata = Self::default();
        for element in text.split('<').skip(1) {
            let element = element.split('>').next().unwrap_or_default();
            let kind = element.split(|c: char| c.is_whitespace() || c == '/').next();
            match (kind, attribute(element, "name")) {
                (Some("parameter"), Some(name)) => {
                    metadata.parameters.insert(plain(name));
                }
                (Some("action"), Some(name)) => {
                    // Only those that cut a machine off are switched on by themselves.
                    metadata.fabric |= name == "on" && attribute(element, "automatic") == Some("1");
                    metadata.actions.insert(name.to_owned());
                }
                (Some(_), _) | (None, _) => {}
            }
        }
        Ok(metadata)
    }

    /// Whether the agent knows a parameter; `-` and `_` are the same to it.
    pub fn knows(&self, parameter: &str) -> bool {
        self.parameters.contains(&plain(parameter))
    }

    /// Whether the agent can be asked to fence with these parameters.
    ///
    /// # Errors
    /// What is missing. Nothing was sent.
    pub fn check<'a>(
        &self,
        parameters: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), AgentFailure> {
        if let Some(unknown) = parameters.into_iter().find(|name| !self.knows(name)) {
            return Err(AgentFailure::UnknownParameter(unknown.to_owned()));
        }
        for action in [Action::Off, Action::Status] {
            if !self.actions.contains(&action.to_string()) {
                return Err(AgentFailure::NoSuchAction(action));
            }
        }
        if self.fabric { Err(AgentFailure::CutsNoPower) } else { Ok(()) }
    }
}

fn plain(name: &str) -> String {
    name.to_ascii_lowercase().replace('-', "_")
}

/// The value of an attribute of an element without its brackets.
fn attribute<'a>(element: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = element;
    while let Some((before, after)) = rest.split_once('=') {
        let key = before.split_whitespace().next_back().unwrap_or_default();
        let after = after.trim_start();
        let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let (value, more) = after.get(1..)?.split_once(quote)?;
        if key == name {
            return Some(value);
        }
        rest = more;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const POWER: &str = r#"<?xml version="1.0" ?>
<resource-agent name="fence_x" shortdesc="a = b" >
<parameters>
	<parameter name="action" unique="0" required="1">
		<content type="string" default="reboot"  />
	</parameter>
	<parameter name="ip" unique="0" required="1" obsoletes="ipaddr"/>
	<parameter name="power_timeout" unique="0" required="0">
</parameters>
<actions>
	<action name="on" automatic="0"/>
	<action name="off" />
	<action name='status' />
</actions>
</resource-agent>"#;

    #[test]
    fn parameters_and_actions_are_read() {
        let metadata = Metadata::parse(POWER).unwrap();
        assert_eq!(metadata.check(["ip", "power-timeout", "action"]), Ok(()));
        let unknown = AgentFailure::UnknownParameter("prot".into());
        assert_eq!(metadata.check(["ip", "prot"]), Err(unknown));
        assert!(!metadata.knows("fence_x") && !metadata.knows("on"));
    }

    #[test]
    fn an_agent_that_cuts_no_power_is_refused() {
        let fabric = POWER.replace("automatic=\"0\"", "automatic=\"1\"");
        let said = Metadata::parse(&fabric).unwrap().check([]);
        assert_eq!(said, Err(AgentFailure::CutsNoPower));
        let blind = POWER.replace("'status'", "'list'");
        let said = Metadata::parse(&blind).unwrap().check([]);
        assert_eq!(said, Err(AgentFailure::NoSuchAction(Action::Status)));
    }

    #[test]
    fn what_is_no_description_is_refused() {
        for text in ["", "usage: fence_x", "<html>"] {
            assert!(matches!(Metadata::parse(text), Err(AgentFailure::NoMetadata(_))), "{text}");
        }
        let broken =
            Metadata::parse("<resource-agent <parameter name= <action name=\"off").unwrap();
        assert_eq!(broken, Metadata::default());
    }
}
