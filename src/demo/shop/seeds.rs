//! What the shop holds when it opens: its customers, their orders, its catalogue. All invented.
//!
//! The passwords stand here because this is a demonstration. They are hashed when the shop opens and are written to no log.

/// One customer, as the shop opens.
#[derive(Debug, Clone, Copy)]
pub struct Seed {
    /// The account's number, in addresses and in the API.
    pub id: &'static str,
    /// The customer's name.
    pub name: &'static str,
    /// What they sign in with.
    pub email: &'static str,
    /// Their password.
    pub password: &'static str,
    /// Street, town, postcode.
    pub address: [&'static str; 3],
    /// What is owed on the account, in pence.
    pub owed: i64,
    /// Orders placed before the shop opened, oldest first.
    pub orders: &'static [PastOrder],
}

/// An order placed before the shop opened.
#[derive(Debug, Clone, Copy)]
pub struct PastOrder {
    /// The day, for people.
    pub placed: &'static str,
    /// How far it has come.
    pub status: &'static str,
    /// Slug and quantity of each product.
    pub lines: &'static [(&'static str, u32)],
}

/// The customers. Nobody can open a further account, so this is also the bound on accounts.
pub const CUSTOMERS: [Seed; 6] = [
    Seed {
        id: "1001",
        name: "Ada Lovelace",
        email: "ada@example.test",
        password: "correct horse",
        address: ["12 St James's Square", "London", "SW1Y 4JH"],
        owed: 4120,
        orders: &[
            PastOrder { placed: "3 October 2026", status: "delivered", lines: &[("kettle", 1), ("tea-towel", 2)] },
            PastOrder { placed: "19 November 2026", status: "on its way", lines: &[("lamp", 1)] },
        ],
    },
    Seed {
        id: "1002",
        name: "Grace Hopper",
        email: "grace@example.test",
        password: "nanosecond wire",
        address: ["7 Harbour Lane", "Bristol", "BS1 4QA"],
        owed: 0,
        orders: &[PastOrder { placed: "14 November 2026", status: "delivered", lines: &[("clock", 1)] }],
    },
    Seed {
        id: "1003",
        name: "Linus Pauling",
        email: "linus@example.test",
        password: "orange season",
        address: ["3 Orchard Row", "Leeds", "LS1 5PZ"],
        owed: 1850,
        orders: &[PastOrder { placed: "20 November 2026", status: "packed", lines: &[("mug", 4)] }],
    },
    Seed {
        id: "1004",
        name: "Mary Seacole",
        email: "mary@example.test",
        password: "british hotel",
        address: ["14 Soho Street", "London", "W1D 3DN"],
        owed: 0,
        orders: &[],
    },
    Seed {
        id: "1005",
        name: "Alan Turing",
        email: "alan@example.test",
        password: "bicycle chain",
        address: ["43 Adlington Road", "Wilmslow", "SK9 2BJ"],
        owed: 760,
        orders: &[PastOrder { placed: "1 November 2026", status: "delivered", lines: &[("blanket", 1), ("mug", 1)] }],
    },
    Seed {
        id: "1006",
        name: "Katherine Johnson",
        email: "katherine@example.test",
        password: "orbital numbers",
        address: ["5 Station Road", "York", "YO24 1AB"],
        owed: 0,
        orders: &[],
    },
];

/// Something for sale.
#[derive(Debug, Clone, Copy)]
pub struct Product {
    /// Its name in addresses.
    pub slug: &'static str,
    /// Its name for people.
    pub name: &'static str,
    /// One sentence.
    pub about: &'static str,
    /// Price in pence.
    pub price: i64,
}

/// The catalogue.
pub const CATALOGUE: [Product; 8] = [
    Product { slug: "kettle", name: "Stovetop kettle", about: "Two litres, whistles when it boils.", price: 3400 },
    Product { slug: "mug", name: "Stoneware mug", about: "Holds a proper cup of tea.", price: 950 },
    Product { slug: "lamp", name: "Reading lamp", about: "A warm light and a long arm.", price: 5200 },
    Product { slug: "blanket", name: "Wool blanket", about: "Woven in Wales, 130 by 180 cm.", price: 7800 },
    Product { slug: "clock", name: "Wall clock", about: "Quiet, with large numbers.", price: 2900 },
    Product { slug: "tea-towel", name: "Linen tea towel", about: "Dries glasses without fluff.", price: 800 },
    Product { slug: "umbrella", name: "Folding umbrella", about: "Turns inside out and back again.", price: 2400 },
    Product { slug: "notebook", name: "Notebook", about: "192 pages that lie flat.", price: 1100 },
];

/// The product with this name in addresses.
pub fn product(slug: &str) -> Option<&'static Product> {
    CATALOGUE.iter().find(|product| product.slug == slug)
}

/// The one-time code that the customer's phone would show. A real shop makes a new one each time.
pub const PHONE_CODE: &str = "246810";
