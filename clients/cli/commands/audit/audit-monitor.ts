// The command audit monitor monitors any log that is served as tlog-tiles.
import { watchLog, type WatchOptions } from '../../../verifier/monitor/watch-log.ts'
import type { Context } from '../../context.ts'
import { environment, findToken, parseAddress } from '../../settings.ts'
import type { Report } from '../../../verifier/verify-file.ts'
import { printReport } from './audit-verify.ts'

export async function monitor(context: Context, address: string, options: WatchOptions): Promise<void> {
  const where = parseAddress(address, 'the address')
  const token = findToken(options, environment(), where)
  const warn = (text: string): void => void process.stderr.write(`modelkeep: ${text}\n`)
  const report = (found: Report): void => printReport(context, found)
  await watchLog(where, { ...options, token }, report, warn, context.signal)
}
