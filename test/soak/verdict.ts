import type { SoakReport } from './soak.ts'

/** A replica with 128 MiB for uploads. */
const MOST_RSS_MEBIBYTES = 700
/** Between the end of the first third and the end, when all is quiet. */
const MOST_GROWTH_MEBIBYTES = 200
const MOST_MORE_HANDLES = 40

/** What is wrong with a soak. */
export function complaintsOf(report: SoakReport): string[] {
  const { warm, end } = report
  const growth = end.rssMebibytes - warm.rssMebibytes
  return [
    ...report.lost.map((name) => `lost: ${name}`),
    ...report.wrong.map((name) => `wrong bytes: ${name}`),
    ...report.stuck.map((name) => `never succeeded: ${name}`),
    ...report.leftovers,
    ...(report.atOnce > 1 ? ['an upload was completed twice at once'] : []),
    ...(end.rssMebibytes > MOST_RSS_MEBIBYTES ? [`${end.rssMebibytes} MiB resident`] : []),
    ...(growth > MOST_GROWTH_MEBIBYTES ? [`memory grew by ${growth} MiB`] : []),
    ...(end.handles > warm.handles + MOST_MORE_HANDLES ? [`handles: ${warm.handles}, then ${end.handles}`] : []),
  ]
}
