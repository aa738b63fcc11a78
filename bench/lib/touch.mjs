/**
 * Touches as many bytes of memory as its argument says and ends: pages that the host of a virtual machine has not
 * backed yet cost ten times more than others, and the first benchmark would pay for them.
 */
const PIECE_BYTES = 64 << 20;
const PAGE_BYTES = 4096;

const pieces = [];
for (let left = Number(process.argv[2]); left > 0; left -= PIECE_BYTES) {
  const piece = Buffer.allocUnsafeSlow(PIECE_BYTES);
  for (let at = 0; at < PIECE_BYTES; at += PAGE_BYTES) piece[at] = 1;
  pieces.push(piece);
}
