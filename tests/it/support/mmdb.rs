//! Writes files in MaxMind's format, after its specification (version 2.0): as small as a test needs them, and with what a test
//! wants to be wrong.

use ipnet::IpNet;

/// What a record holds.
pub enum Field {
    Number(u32),
    Short(u16),
    Long(u64),
    Text(String),
    Fields(Vec<(&'static str, Field)>),
}

/// A branch of the tree.
#[derive(Clone, Copy)]
pub enum Branch {
    Nothing,
    Node(u32),
    Record(u32),
}

/// A file that is being made.
pub struct Mmdb {
    pub nodes: Vec<[Branch; 2]>,
    records: Vec<u8>,
}

impl Mmdb {
    pub fn new() -> Self {
        Self { nodes: vec![[Branch::Nothing; 2]], records: Vec::new() }
    }

    /// Says this of a network.
    pub fn say(&mut self, network: &str, fields: Vec<(&'static str, Field)>) {
        let place = u32::try_from(self.records.len()).unwrap();
        encode(&Field::Fields(fields), &mut self.records);
        let (bits, length) = match network.parse().unwrap() {
            IpNet::V4(net) => (u128::from(net.addr().to_bits()), 96 + usize::from(net.prefix_len())),
            IpNet::V6(net) => (net.addr().to_bits(), usize::from(net.prefix_len())),
        };
        let mut node = 0;
        for depth in 0..length {
            let side = usize::from(bits >> (127 - depth) & 1 == 1);
            if depth + 1 == length {
                self.nodes[node][side] = Branch::Record(place);
                return;
            }
            node = match self.nodes[node][side] {
                Branch::Node(next) => next as usize,
                Branch::Nothing | Branch::Record(_) => {
                    self.nodes.push([Branch::Nothing; 2]);
                    let next = self.nodes.len() - 1;
                    self.nodes[node][side] = Branch::Node(u32::try_from(next).unwrap());
                    next
                }
            };
        }
    }

    /// The file.
    pub fn bytes(&self, built: u32) -> Vec<u8> {
        let count = u32::try_from(self.nodes.len()).unwrap();
        let mut file = Vec::new();
        for branch in self.nodes.iter().flatten() {
            let value = match branch {
                Branch::Nothing => count,
                Branch::Node(node) => *node,
                Branch::Record(place) => count + 16 + place,
            };
            file.extend(value.to_be_bytes());
        }
        file.extend([0; 16]);
        file.extend(&self.records);
        file.extend(b"\xab\xcd\xefMaxMind.com");
        let short = Field::Short;
        let about = Field::Fields(vec![
            ("binary_format_major_version", short(2)),
            ("binary_format_minor_version", short(0)),
            ("build_epoch", Field::Long(built.into())),
            ("database_type", Field::Text("Test".to_owned())),
            ("description", Field::Fields(Vec::new())),
            ("ip_version", short(6)),
            ("node_count", Field::Number(count)),
            ("record_size", short(32)),
        ]);
        // Languages are a list: an extended type of its own.
        let mut text = Vec::new();
        encode(&about, &mut text);
        text[0] += 1;
        encode_text("languages", &mut text);
        text.extend([0, 4]);
        file.extend(text);
        file
    }
}

fn encode_text(text: &str, out: &mut Vec<u8>) {
    assert!(text.len() < 29);
    out.push(2 << 5 | u8::try_from(text.len()).unwrap());
    out.extend(text.as_bytes());
}

fn encode(field: &Field, out: &mut Vec<u8>) {
    match field {
        Field::Number(number) => {
            out.push(6 << 5 | 4);
            out.extend(number.to_be_bytes());
        }
        Field::Short(number) => {
            out.push(5 << 5 | 2);
            out.extend(number.to_be_bytes());
        }
        // An extended type: the ninth.
        Field::Long(number) => {
            out.extend([8, 2]);
            out.extend(number.to_be_bytes());
        }
        Field::Text(text) => encode_text(text, out),
        Field::Fields(fields) => {
            out.push(7 << 5 | u8::try_from(fields.len()).unwrap());
            for (name, field) in fields {
                encode_text(name, out);
                encode(field, out);
            }
        }
    }
}

/// A file of providers: networks and AS numbers.
pub fn providers(all: &[(&str, u32)], built: u32) -> Vec<u8> {
    let mut file = Mmdb::new();
    for (network, number) in all {
        file.say(network, vec![("autonomous_system_number", Field::Number(*number))]);
    }
    file.bytes(built)
}

/// A file of countries: networks and codes.
pub fn countries(all: &[(&str, &str)], built: u32) -> Vec<u8> {
    let mut file = Mmdb::new();
    for (network, code) in all {
        let country = Field::Fields(vec![("iso_code", Field::Text((*code).to_owned()))]);
        file.say(network, vec![("country", country)]);
    }
    file.bytes(built)
}
