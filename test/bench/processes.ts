// CPU time and memory of processes, read from Linux's /proc.
import { readFileSync } from 'node:fs'

const TICKS_PER_SECOND = 100
const PAGE_BYTES = 4096
const SAMPLE_MS = 50

/** Seconds of CPU since the start of the process, including its children unless it is this process. */
export function cpuSeconds(pid: number): number {
  if (pid === process.pid) return fieldsOf(pid, 11, 13)
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean)
  return fieldsOf(pid, 11, 15) + children.reduce((sum, child) => sum + fieldsOf(child, 11, 13), 0)
}

/** Seconds from the given fields: 11 and 12 are the time of the process, 13 and 14 that of its exited children. */
function fieldsOf(pid: number | string, from: number, to: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The name in parentheses may contain spaces.
  const fields = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number)
  return fields.slice(from, to).reduce((sum, ticks) => sum + ticks, 0) / TICKS_PER_SECOND
}

export function residentMib(pid: number): number {
  return (Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * PAGE_BYTES) / 1024 / 1024
}

export interface Usage {
  seconds: number
  /** Keyed by process name. */
  cpu: Record<string, number>
  peakMib: Record<string, number>
}

/** Runs `work`, and measures the processes meanwhile. */
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
