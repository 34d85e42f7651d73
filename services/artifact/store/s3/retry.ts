// Retries of requests that a lost connection or an overloaded server may have prevented.
import { setTimeout as sleep } from 'node:timers/promises'
import { isRetryable, translateS3Fault } from './faults.ts'

const FIRST_PAUSE_MS = 100
export const ATTEMPTS = 3

/** `work` must be idempotent. Throws the error of the last attempt as an error of the store. */
export async function retry<T>(work: (attempt: number) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work(attempt)
    } catch (error) {
      await waitForRetry(error, attempt)
    }
  }
}

/** Waits before the next attempt. Throws where there is none. */
export async function waitForRetry(error: unknown, attempt: number): Promise<void> {
  if (attempt === ATTEMPTS || !isRetryable(error)) translateS3Fault(error)
  await sleep(FIRST_PAUSE_MS * 2 ** (attempt - 1) * (1 + Math.random()))
}
