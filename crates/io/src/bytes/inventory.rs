//! What objects are, all together, as can be told without reading them.

use std::sync::Arc;

/// Which objects count, by their keys.
pub type Wanted = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// Names, sizes and versions of objects. Two that are equal are of objects that nobody has changed meanwhile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// How many there are.
    pub count: u64,
    /// Bytes of all of them.
    pub bytes: u64,
    /// When the last of them was changed, in nanoseconds since 1970.
    pub newest: u64,
    /// Which one that is.
    pub last: String,
    /// Of names, sizes and versions, in any order.
    pub sum: u64,
}

impl Inventory {
    /// Counts an object in. `version` is another one whenever its content is: an entity tag, or a time.
    pub fn add(&mut self, key: &str, size: u64, changed: u64, version: &str) {
        self.count += 1;
        self.bytes += size;
        if changed >= self.newest {
            (self.newest, self.last) = (changed, key.to_owned());
        }
        // FNV-1a of each object; the sum does not depend on their order.
        let bytes = key.bytes().chain([0]).chain(size.to_le_bytes()).chain(version.bytes());
        let one = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
            (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        self.sum = self.sum.wrapping_add(one);
    }

    /// Counts others in.
    pub fn extend(&mut self, other: Self) {
        self.count += other.count;
        self.bytes += other.bytes;
        self.sum = self.sum.wrapping_add(other.sum);
        (self.newest, self.last) =
            (self.newest, std::mem::take(&mut self.last)).max((other.newest, other.last));
    }
}
