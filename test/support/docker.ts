import { execFile } from 'node:child_process'

/** Whether a container engine answers; the client alone does not count. */
export function dockerIsThere(): Promise<boolean> {
  return new Promise((resolve) => execFile('docker', ['info'], { timeout: 10_000 }, (error) => resolve(error === null)))
}
