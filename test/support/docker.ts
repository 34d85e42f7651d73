import { execFile } from 'node:child_process'

/** Whether a container engine responds; an installed client is not enough. */
export function isDockerAvailable(): Promise<boolean> {
  return new Promise((resolve) => execFile('docker', ['info'], { timeout: 10_000 }, (error) => resolve(error === null)))
}
