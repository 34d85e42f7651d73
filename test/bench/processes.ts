// CPU time and memory of other processes, as Linux tells them in /proc.
import { readFileSync } from 'node:fs'

const TICKS_PER_SECOND = 100
const PAGE_BYTES = 4096
const SAMPLE_MS = 50

/** Seconds of CPU since the process began. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The name, in parentheses, may have spaces.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

export function residentMib(pid: number): number {
  return (Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * PAGE_BYTES) / 1024 / 1024
}

export interface Usage {
  seconds: number
  /** By process. */
  cpu: Record<string, number>
  peakMib: Record<string, number>
}

/** Runs `work` and watches the processes meanwhile. */
export async function watchUsage(pids: Record<string, number>, work: () => Promise<unknown>): Promise<Usage> {
  const names = Object.keys(pids)
  const before = names.map((name) => cpuSeconds(pids[name]!))
  const peaks = names.map((name) => residentMib(pids[name]!))
  const sample = (): void => names.forEach((name, at) => (peaks[at] = Math.max(peaks[at]!, residentMib(pids[name]!))))
  const timer = setInterval(sample, SAMPLE_MS)
  const began = performance.now()
  try {
    await work()
  } finally {
    clearInterval(timer)
  }
  const seconds = (performance.now() - began) / 1000
  sample()
  return {
    seconds,
    cpu: Object.fromEntries(names.map((name, at) => [name, cpuSeconds(pids[name]!) - before[at]!])),
    peakMib: Object.fromEntries(names.map((name, at) => [name, peaks[at]!])),
  }
}
