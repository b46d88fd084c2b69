//! Builds ClientHellos, right and wrong ones.

/// What to put into a hello.
#[derive(Debug, Clone, Default)]
pub struct Hello {
    /// Server names, each in an extension of its own.
    pub names: Vec<Vec<u8>>,
    pub encrypted: bool,
    pub without_extensions: bool,
    /// Bytes after the hello in the same handshake message stream.
    pub trailing: Vec<u8>,
}

impl Hello {
    pub fn named(name: &str) -> Self {
        Self { names: vec![name.as_bytes().to_vec()], ..Self::default() }
    }

    /// The handshake message.
    pub fn message(&self) -> Vec<u8> {
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.push(32);
        body.extend([9; 32]);
        body.extend([0, 4, 0x13, 0x01, 0x13, 0x02, 1, 0]);
        let mut extensions = Vec::new();
        for name in &self.names {
            let mut list = vec![0];
            list.extend(u16_length(name));
            extensions.extend([0, 0]);
            extensions.extend(u16_length(&u16_length(&list)));
        }
        if self.encrypted {
            extensions.extend([0xfe, 0x0d]);
            extensions.extend(u16_length(&[0; 64]));
        }
        extensions.extend([0, 43, 0, 3, 2, 3, 4]);
        if !self.without_extensions {
            body.extend(u16_length(&extensions));
        }
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        let mut message = vec![1, length[1], length[2], length[3]];
        message.extend(body);
        message.extend(&self.trailing);
        message
    }

    /// The message in records of at most so many bytes.
    pub fn records(&self, largest: usize) -> Vec<u8> {
        let mut records = Vec::new();
        for fragment in self.message().chunks(largest) {
            records.extend([22, 3, 1]);
            records.extend(u16_length(fragment));
        }
        records
    }
}

fn u16_length(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
    [&length[..], bytes].concat()
}
