// The two ways that bytes can take: through the service in a stream, or straight between client and store.
import { fail } from '#lib/errors/errors.ts'

/** Which of them the installation allows. */
export const LANES = ['any', 'stream', 'direct'] as const
export type Lanes = (typeof LANES)[number]

export function requireStreamLane(lanes: Lanes): void {
  if (lanes !== 'direct') return
  const message = 'this installation lets bytes go straight to and from its store only (LANES=direct)'
  fail('LANE_CLOSED', `${message}; see DirectService`, { lane: 'stream', lanes })
}

export function requireDirectLane(lanes: Lanes): void {
  if (lanes !== 'stream') return
  const message = 'this installation lets bytes go through the service only (LANES=stream)'
  fail('LANE_CLOSED', `${message}; see UploadService.WritePart and BlobService.DownloadBlob`, { lane: 'direct', lanes })
}
