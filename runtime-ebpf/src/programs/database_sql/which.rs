//! Which database it is: what `sql.DB.connector` holds, of types that the agent knows.
//!
//! ```text
//! DB.connector ─► itab ─► one of the file's connectors: how to read it
//!              └► data ─► (pointer ─►) address, database, network, port; or a driver, whose itab says which system it is
//! ```

use runtime_ebpf::{
    abi::NO_OFFSET,
    database_sql::{CONNECTOR_WINDOW, Connector, File, KNOWN},
};

use crate::{
    read::{GoString, is_known, is_some, opaque, read_or_zero, word_or_zero},
    texts::{MISSING, Window},
};

/// What is known of a database.
#[derive(Clone, Copy)]
pub struct Which {
    pub form: u64,
    pub system: u64,
    pub port: u64,
    pub address: GoString,
    pub database: GoString,
    pub network: GoString,
}

const UNKNOWN: Which =
    Which { form: 0, system: 0, port: 0, address: MISSING, database: MISSING, network: MISSING };

const _: () = assert!(KNOWN == 8);

/// The sum over a table of 8: without a branch for the verifier to follow.
macro_rules! sum {
    (|$n:ident| $term:expr) => {{
        let mut sum = 0;
        macro_rules! each {
            ($at:literal) => {
                let $n = $at;
                sum += $term;
            };
        }
        each!(0);
        each!(1);
        each!(2);
        each!(3);
        each!(4);
        each!(5);
        each!(6);
        each!(7);
        sum
    }};
}

/// 1 if both are the same address, and not 0.
#[inline(always)]
fn equals(a: u64, b: u64) -> u64 {
    (is_some(a ^ b) ^ 1) & is_some(a)
}

/// Of a `*sql.DB`; `scratch` has room for [`CONNECTOR_WINDOW`] bytes, and is not needed any more afterwards.
#[inline(always)]
pub fn which(file: &File, bias: u64, database: u64, scratch: *mut u8) -> Which {
    // An interface value: two words.
    let itab = word_or_zero(database, file.db_connector, 0).wrapping_sub(bias);
    let data = word_or_zero(database, file.db_connector, 8);
    let number = sum!(|n| equals(file.connector_itabs[n], itab) * (n as u64 + 1));
    if number == 0 {
        return UNKNOWN;
    }
    // Below the number of connectors, as the verifier sees it.
    let at = (opaque(number - 1) & (KNOWN as u64 - 1)) as usize;
    // SAFETY: the mask leaves the places of the array.
    let connector = unsafe { &*file.connectors.as_ptr().add(at) };
    let from = if connector.config == NO_OFFSET {
        data
    } else {
        read_or_zero(data.wrapping_add(connector.config as u64))
    };
    let window = Window::<CONNECTOR_WINDOW>::read(scratch, from, 0, connector.bytes);
    if window.ok() {
        pick(file, bias, connector, &window)
    } else {
        Which { form: connector.form as u64, system: connector.system as u64, ..UNKNOWN }
    }
}

#[inline(always)]
fn pick(file: &File, bias: u64, connector: &Connector, window: &Window<CONNECTOR_WINDOW>) -> Which {
    let driver = window.known_word(connector.driver) & is_known(connector.driver).wrapping_neg();
    let itab = driver.wrapping_sub(bias);
    let of_driver = sum!(|n| equals(file.driver_itabs[n], itab) * file.driver_systems[n] as u64);
    Which {
        form: connector.form as u64,
        system: connector.system as u64 | of_driver,
        port: window.known_word(connector.port) & 0xffff & is_known(connector.port).wrapping_neg(),
        address: string(window, connector.address),
        database: string(window, connector.database),
        network: string(window, connector.network),
    }
}

/// The string at an offset of a window that was read, or [`MISSING`]: without a branch, as above.
#[inline(always)]
fn string(window: &Window<CONNECTOR_WINDOW>, offset: u16) -> GoString {
    let missing = (is_known(offset) ^ 1).wrapping_neg();
    GoString { address: window.known_word(offset), len: window.known_word(offset.wrapping_add(8)) | missing }
}
