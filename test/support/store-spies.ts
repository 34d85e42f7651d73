// Stores with some methods replaced by a test, or with their calls counted.
import type { ByteStore } from '../../services/artifact/store/byte-store.ts'

/** The store with some of its methods replaced. Closing it does nothing. */
export function changed(store: ByteStore, changes: Partial<ByteStore>): ByteStore {
  return new Proxy(store, {
    get(target, name) {
      const own = { close: async () => {}, ...changes }[name as keyof ByteStore]
      if (own) return own
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

export interface CountedStore {
  bytes: ByteStore
  /** The start and end of each read. */
  reads: [number, number][]
  /** Keys of completed objects. */
  completed: string[]
  /** Lengths of stored parts. */
  parts: number[]
}

export function counted(store: ByteStore): CountedStore {
  const counts: CountedStore = { bytes: store, reads: [], completed: [], parts: [] }
  counts.bytes = changed(store, {
    read(key, offset, length, signal) {
      counts.reads.push([offset, offset + length])
      return store.read(key, offset, length, signal)
    },
    complete(key, ...rest) {
      counts.completed.push(key)
      return store.complete(key, ...rest)
    },
    putPart(place, part) {
      counts.parts.push(part.length)
      return store.putPart(place, part)
    },
  })
  return counts
}
