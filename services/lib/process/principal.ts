// The principal for whom code runs, in an async context. Shared resources, such as the connections of a pool, count per
// principal.
import { AsyncLocalStorage } from 'node:async_hooks'
import { SERVICE_WORK } from './fair-queue.ts'

const principals = new AsyncLocalStorage<string>()

/** Returns the principal for whom this code runs; `SERVICE_WORK` outside of calls. */
export function currentPrincipal(): string {
  return principals.getStore() ?? SERVICE_WORK
}

/** Runs the work for the principal. Work that several callers share runs for `SERVICE_WORK`. */
export function runFor<T>(principal: string, work: () => T): T {
  return principals.run(principal, work)
}

/** Iterates for the principal, whichever async context requests the next item. */
export function iterateFor<T>(principal: string, items: AsyncIterable<T>): AsyncIterable<T> {
  return {
    [Symbol.asyncIterator]() {
      const iterator = items[Symbol.asyncIterator]()
      return {
        next: () => runFor(principal, () => iterator.next()),
        return: () => runFor(principal, () => iterator.return?.() ?? ENDED),
      }
    },
  }
}

const ENDED = Promise.resolve({ done: true as const, value: undefined })
