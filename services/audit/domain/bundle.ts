/** Encodes an entry bundle of c2sp.org/tlog-tiles: each leaf after its length in two bytes. */
export function encodeBundle(leaves: Buffer[]): Buffer {
  return Buffer.concat(leaves.flatMap((leaf) => [Buffer.of(leaf.length >> 8, leaf.length & 0xff), leaf]))
}
