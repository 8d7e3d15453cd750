//! The address table: number to text.

use std::net::{IpAddr, Ipv6Addr};

use arrow_array::RecordBatch;
use arrow_array::types::{UInt8Type, UInt32Type, UInt64Type};

use super::column::Columns;

/// The address in 16 bytes, IPv4 ones mapped, as the field writes it.
pub fn address(bytes: [u8; 16]) -> IpAddr {
    Ipv6Addr::from(bytes).to_canonical()
}

/// The address as text. IPv4 is written by hand, as there may be hundreds of thousands and formatting them was slow.
fn text(bytes: [u8; 16]) -> String {
    let IpAddr::V4(v4) = address(bytes) else { return address(bytes).to_string() };
    let mut text = String::with_capacity("255.255.255.255".len());
    for (at, octet) in v4.octets().into_iter().enumerate() {
        if at > 0 {
            text.push('.');
        }
        let digits = [octet / 100, octet / 10 % 10, octet % 10];
        let leading = usize::from(octet < 100) + usize::from(octet < 10);
        text.extend(digits.into_iter().skip(leading).map(|digit| char::from(b'0' + digit)));
    }
    text
}

/// The table of these addresses; a row's position is its number.
pub fn table(list: &[[u8; 16]]) -> RecordBatch {
    let rows: Vec<(u32, [u8; 16])> = (0u32..).zip(list.iter().copied()).collect();
    let mut columns = Columns::new(rows.len());
    columns.plain::<UInt32Type>("address", |row: &(u32, [u8; 16])| row.0);
    columns.made_text("text", |row| Some(text(row.1)));
    columns.plain::<UInt8Type>("ip_version", |row| if address(row.1).is_ipv4() { 4 } else { 6 });
    columns.plain::<UInt64Type>("high", |row| (u128::from_be_bytes(row.1) >> 64) as u64);
    columns.plain::<UInt64Type>("low", |row| u128::from_be_bytes(row.1) as u64);
    columns.table(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_octet_is_written_as_the_standard_library_does() {
        for octet in 0..=255u8 {
            let v4 = std::net::Ipv4Addr::new(octet, 0, 10, 255 - octet);
            assert_eq!(text(v4.to_ipv6_mapped().octets()), v4.to_string());
        }
    }

    #[test]
    fn mapped_and_plain() {
        let mut mapped = [0u8; 16];
        mapped[10] = 0xff;
        mapped[11] = 0xff;
        mapped[12..].copy_from_slice(&[10, 0, 0, 4]);
        assert_eq!(address(mapped).to_string(), "10.0.0.4");
        assert_eq!(address(Ipv6Addr::LOCALHOST.octets()).to_string(), "::1");
    }
}
