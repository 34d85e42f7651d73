import type { SoakReport } from './soak.ts'

/** The limit for a replica with 128 MiB for uploads, however long it runs. */
const MOST_RSS_MEBIBYTES = 700
const MOST_MORE_HANDLES = 40

/** Returns the violated expectations of a soak. */
export function violationsOf(report: SoakReport): string[] {
  const { warm, end } = report
  return [
    ...report.lost.map((name) => `lost: ${name}`),
    ...report.wrong.map((name) => `wrong bytes: ${name}`),
    ...report.stuck.map((name) => `never succeeded: ${name}`),
    ...report.leftovers,
    ...(report.atOnce > 1 ? ['an upload was completed twice at once'] : []),
    ...(end.rssMebibytes > MOST_RSS_MEBIBYTES ? [`${end.rssMebibytes} MiB resident`] : []),
    ...(end.handles > warm.handles + MOST_MORE_HANDLES ? [`handles: ${warm.handles}, then ${end.handles}`] : []),
  ]
}
