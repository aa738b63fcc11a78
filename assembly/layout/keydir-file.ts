import { KEYDIR_ENTRY_BYTES, KEYDIR_HINT_BYTES } from './keydir';

/*
 * The two files of a key-value store that spare it the way through the whole log. docs/format.md, "Key directory file"
 * and "Hint file". Both can always be made anew from the frames; one that is not valid is passed over.
 *
 * KEYDIR, written when the store is closed
 *
 *   [ header, zeros to 65536 | entries of the table … | segments … | expiry ]
 *
 *   0        4        8
 *   +--------+--------+
 *   |      magic      |   0
 *   +--------+--------+
 *   |  crc   |version |   8
 *   +--------+--------+
 *   |incompat|segments|  16
 *   +--------+--------+
 *   |    store id     |  24
 *   |    16 bytes     |  32
 *   +-----------------+
 *   |    first LSN    |  40
 *   +-----------------+
 *   |    last LSN     |  48
 *   +-----------------+
 *   |    position     |  56
 *   +-----------------+
 *   |   generation    |  64
 *   +--------+--------+
 *   | epoch  | slots  |  72
 *   +--------+--------+
 *   |nxt slot| moved  |  80
 *   +--------+--------+
 *   |     border      |  88
 *   +--------+--------+
 *   | count  |tabl crc|  96
 *   +--------+--------+
 *   |   table bytes   | 104
 *   +-----------------+
 *   |  expiry bytes   | 112
 *   +--------+--------+
 *   |tail crc|   0    | 120
 *   +--------+--------+ 128; zeros follow
 */
@unmanaged
export class KeydirHeader {
  /** "VARVEKEY". */
  magic: u64;
  /** CRC-32C of bytes [12, 128). */
  crc: u32;
  /** Format version: 1. */
  version: u32;
  /** Features a reader must know to read. */
  incompatible: u32;
  /** Segments in the list. */
  segments: u32;
  /** The store's random id, first half. */
  storeIdLow: u64;
  /** The store's random id, second half. */
  storeIdHigh: u64;
  /** First LSN of the log that the table is of. */
  firstLsn: u64;
  /** Its last LSN. */
  lastLsn: u64;
  /** Position just past its last record. */
  position: u64;
  /** Its generation, from `CONTROL`. */
  generation: u64;
  /** Epoch of its last record. */
  epoch: u32;
  /** Homes of hashes below `border`. */
  slots: u32;
  /** Homes of hashes from `border` on; 0 where the table was not growing. */
  nextSlots: u32;
  /** Where it was growing: the slot from which on entries had moved. */
  moved: u32;
  /** Where it was growing: the hash from which on entries had moved; else 2^32. */
  border: u64;
  /** Keys. */
  count: u32;
  /** CRC-32C of the table. */
  tableCrc: u32;
  /** Bytes of the table, a multiple of 65536. */
  tableBytes: u64;
  /** Bytes of the expiry. */
  expiryBytes: u64;
  /** CRC-32C of the list of segments and the expiry. */
  tailCrc: u32;
  /** Zero. */
  reserved: u32;
}

/** What KEYDIR says of the segment of a number, 16 bytes. */
@unmanaged
export class KeydirFileSegment {
  /** Its base LSN; 0 where no segment has the number. */
  baseLsn: u64;
  /** Bytes of the frames that the table points at. */
  liveBytes: u32;
  /** How many they are. */
  liveRecords: u32;
}

/*
 * The hint of a segment, written once it is sealed
 *
 *   [ header | entries … ]
 *
 *   0        4        8
 *   +--------+--------+
 *   |      magic      |   0
 *   +--------+--------+
 *   |  crc   |version |   8
 *   +--------+--------+
 *   |incompat|  salt  |  16
 *   +--------+--------+
 *   |    store id     |  24
 *   |    16 bytes     |  32
 *   +-----------------+
 *   |    base LSN     |  40
 *   +-----------------+
 *   |    sealed at    |  48
 *   +--------+--------+
 *   |records |data end|  56
 *   +--------+--------+
 *   |entries |entr crc|  64
 *   +--------+--------+
 *   |        0        |  72
 *   +-----------------+  80
 */
@unmanaged
export class HintHeader {
  /** "VARVEHNT". */
  magic: u64;
  /** CRC-32C of bytes [12, 80). */
  crc: u32;
  /** Format version: 1. */
  version: u32;
  /** Features a reader must know to read. */
  incompatible: u32;
  /** The salt of the segment's header. */
  salt: u32;
  /** The store's random id, first half. */
  storeIdLow: u64;
  /** The store's random id, second half. */
  storeIdHigh: u64;
  /** The base LSN of the segment; also the file's name. */
  baseLsn: u64;
  /** From the segment's footer: one that was repaired has been sealed again. */
  sealedAt: u64;
  /** Records of the segment, from its footer. */
  records: u32;
  /** End of its frames, from its footer. */
  dataEnd: u32;
  /** Entries: the puts, the deletes and the clears among the records, in their order. */
  entries: u32;
  /** CRC-32C of the entries. */
  entriesCrc: u32;
  /** Zero. */
  reserved: u64;
}

/** Little-endian ASCII "VARVEKEY". */
export const KEYDIR_MAGIC: u64 = 0x59454b4556524156;
/** Little-endian ASCII "VARVEHNT". */
export const HINT_MAGIC: u64 = 0x544e484556524156;
/** Where the table begins in KEYDIR, and what its length is a multiple of: it can be mapped wherever a file can. */
export const KEYDIR_TABLE_OFFSET: u32 = 65536;

if (offsetof<KeydirHeader>() != 128) ERROR('the header of KEYDIR has 128 bytes');
if (offsetof<KeydirHeader>('version') != 12) ERROR('the checksum covers everything behind it');
if (offsetof<KeydirFileSegment>() != 16) ERROR('a segment in KEYDIR has 16 bytes');
if (offsetof<HintHeader>() != 80) ERROR('the header of a hint has 80 bytes');
if (offsetof<HintHeader>('version') != 12) ERROR('the checksum covers everything behind it');
if (offsetof<HintHeader>() % <usize>KEYDIR_HINT_BYTES != 0) ERROR('the entries of a hint are aligned');
if (KEYDIR_TABLE_OFFSET % KEYDIR_ENTRY_BYTES != 0) ERROR('a table is a whole number of entries');
