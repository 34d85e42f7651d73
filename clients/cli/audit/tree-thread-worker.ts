// The thread of a large export's tree: takes leaves, and says of each batch whether one does not have its hash.
import { parentPort, workerData } from 'node:worker_threads'
import { LeafTree } from './leaf-tree.ts'
import { HASH_TEXT, type Answer, type Batch } from './tree-thread.ts'

const tree = new LeafTree((workerData as { oldSize: number | undefined }).oldSize)

parentPort!.on('message', (batch: Batch | undefined) => void answer(batch))

async function answer(batch: Batch | undefined): Promise<void> {
  const told: Answer = batch ? { wrong: grow(batch) } : { grown: await tree.finish() }
  parentPort!.postMessage(told, [])
}

/** What is wrong, and where. */
function grow({ bytes, lengths, lines }: Batch): string | undefined {
  const buffer = Buffer.from(bytes.buffer)
  let at = 0
  for (const [position, length] of lengths.entries()) {
    const begin = at + HASH_TEXT
    try {
      tree.add(buffer.subarray(begin, begin + length), buffer.toString('latin1', at, begin))
    } catch (error) {
      return `line ${lines[position]}: ${(error as Error).message}`
    }
    at = begin + length
  }
  return undefined
}
