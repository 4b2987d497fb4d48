//! A notice as a problem document (RFC 9457).

use serde_json::{Map, Value, json};

use super::voice::Said;
use super::{Exit, May, Notice, rfc3339};
use crate::rules::notices::{Kind, Language, Phrase};
use crate::rules::ruleset::Otherwise;

/// The document's text.
pub(super) fn render(notice: &Notice, said: &Said, language: &Language, request_id: &str) -> String {
    let mut document = Map::new();
    document.insert("type".into(), format!("urn:weir:problem:{}", notice.kind.problem()).into());
    document.insert("title".into(), said.headline.as_str().into());
    document.insert("status".into(), notice.status.as_u16().into());
    document.insert("detail".into(), said.detail.as_str().into());
    document.insert("instance".into(), format!("urn:weir:request:{request_id}").into());
    document.insert("reference".into(), said.reference.as_str().into());
    document.insert("retryable".into(), notice.retryable.into());
    if let Some(until) = notice.until {
        document.insert("until".into(), rfc3339(until).into());
    }
    if notice.kind == Kind::Handoff {
        document
            .insert("handoff".into(), json!({ "reference": notice.reference, "expires": notice.until.map(rfc3339) }));
    }
    if notice.kind == Kind::AutomationNarrowed {
        let member = |may: &May| json!({ "name": may.journey, "routes": may.routes });
        document.insert("only".into(), notice.only.iter().map(member).collect());
    }
    document.insert("never_asks".into(), language.phrase(Phrase::NeverAsk).into());
    document.insert("exits".into(), notice.exits.iter().map(exit_member).collect());
    Value::Object(document).to_string()
}

/// A way forward, as programs read it.
pub(in crate::gate) fn exit_member(exit: &Exit) -> Value {
    let mut value = match exit {
        Exit::StepUp { url, acr_values, max_age } => {
            json!({ "kind": "step_up", "url": url, "acr_values": acr_values, "max_age": max_age })
        }
        Exit::Wait { seconds } => json!({ "kind": "wait", "seconds": seconds }),
        Exit::Read { url } => json!({ "kind": "read", "url": url }),
        Exit::Contact(contact) => {
            let (otherwise, address) = match &contact.otherwise {
                None => (None, None),
                Some(Otherwise::Callback) => (Some("callback"), None),
                Some(Otherwise::Address(address)) => (Some("address"), Some(address)),
            };
            json!({
                "kind": "contact",
                "phone": contact.phone,
                "relay": contact.relay,
                "chat": contact.chat,
                "hours": contact.hours,
                "open": contact.open,
                "opens": contact.opens.map(rfc3339),
                "otherwise": otherwise,
                "address": address,
            })
        }
    };
    if let Value::Object(members) = &mut value {
        members.retain(|_, member| !member.is_null());
    }
    value
}
