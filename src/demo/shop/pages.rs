//! The shop's pages: templates compiled once, every value escaped, no script, no third party.
//!
//! A page is always whole: what cannot be rendered is a plain 500, never half a page.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use minijinja::value::Value;
use minijinja::{Environment, context};

use super::books::{Account, Line, Order, total};
use super::visit::Visit;
use tokio::time::Instant;

const TEMPLATES: [(&str, &str); 16] = [
    ("frame.html", include_str!("pages/frame.html")),
    ("home.html", include_str!("pages/home.html")),
    ("product.html", include_str!("pages/product.html")),
    ("basket.html", include_str!("pages/basket.html")),
    ("login.html", include_str!("pages/login.html")),
    ("account.html", include_str!("pages/account.html")),
    ("balance.html", include_str!("pages/balance.html")),
    ("orders.html", include_str!("pages/orders.html")),
    ("order.html", include_str!("pages/order.html")),
    ("checkout.html", include_str!("pages/checkout.html")),
    ("change.html", include_str!("pages/change.html")),
    ("reset.html", include_str!("pages/reset.html")),
    ("new_password.html", include_str!("pages/new_password.html")),
    ("verify.html", include_str!("pages/verify.html")),
    ("letterbox.html", include_str!("pages/letterbox.html")),
    ("message.html", include_str!("pages/message.html")),
];

const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'";

/// The compiled templates.
pub struct Pages(Environment<'static>);

impl Pages {
    /// Compiles every template.
    ///
    /// # Errors
    /// When one has a mistake in it.
    pub fn open() -> Result<Self, minijinja::Error> {
        let mut environment = Environment::new();
        environment.add_filter("money", money);
        for (name, text) in TEMPLATES {
            environment.add_template(name, text)?;
        }
        Ok(Self(environment))
    }

    /// A page for this visitor. `values` is what the template asks for besides the frame's own.
    pub fn show(&self, visit: &Visit, status: StatusCode, template: &str, values: Value) -> Response {
        let frame = context! { visitor => visit.name.clone(), weir => visit.weir.sentence() };
        let page = self.0.get_template(template).and_then(|page| page.render(context! { ..values, ..frame }));
        match page {
            Ok(page) => (status, PAGE_HEADERS, Html(page)).into_response(),
            Err(error) => {
                tracing::error!(template, %error, "a page of the demonstration shop cannot be shown");
                (StatusCode::INTERNAL_SERVER_ERROR, "This page cannot be shown.\n").into_response()
            }
        }
    }
}

const PAGE_HEADERS: [(HeaderName, HeaderValue); 4] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("private, no-store")),
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
];

/// Pence as pounds: `£41.20`.
pub fn money(pence: i64) -> String {
    let sign = if pence < 0 { "-" } else { "" };
    format!("{sign}£{}.{:02}", pence.unsigned_abs() / 100, pence.unsigned_abs() % 100)
}

/// Lines of a basket or an order, as a template reads them.
pub fn lines(lines: &[Line]) -> Value {
    let line = |line: &Line| {
        let Line { product, pieces } = *line;
        context! { slug => product.slug, name => product.name, pieces, price => total(&[*line]) }
    };
    lines.iter().map(line).collect::<Vec<_>>().into()
}

/// An order, as a template reads it.
pub fn order(order: &Order, now: Instant) -> Value {
    context! {
        id => order.id.clone(), day => order.day(), status => order.status(now), total => order.total(),
        lines => lines(&order.lines)
    }
}

/// An account, as a template reads it.
pub fn account(account: &Account) -> Value {
    context! {
        id => account.id, name => account.name.clone(), email => account.email.clone(), owed => account.owed,
        address => account.address.to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pence_read_as_pounds() {
        assert_eq!([0, 5, 4120, -950].map(money), ["£0.00", "£0.05", "£41.20", "-£9.50"]);
    }

    #[test]
    fn every_template_compiles() {
        assert!(Pages::open().is_ok());
    }
}
