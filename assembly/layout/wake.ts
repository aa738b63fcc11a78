/*
 * The wake group of a mapped file, on a cache line of its own: what readers in all processes sleep on. CONTROL has one,
 * and so has the own header of a typed store.
 *
 *   0        4        8
 *   +--------+--------+
 *   |  word  | notice |   0
 *   +--------+--------+
 */
@unmanaged
export class WakeGroup {
  /** Rises whenever there is something new that sleeping readers should look at. A futex word. */
  word: u32;
  /** Zero; written at each wake, so that those who watch the file for writes are told. */
  notice: u32;
}

if (offsetof<WakeGroup>() != 8) ERROR('the wake group has 8 bytes');
