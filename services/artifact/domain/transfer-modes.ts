// The two ways of transferring bytes: as a stream through the service, or directly between the client and the store.
import { fail } from '#lib/errors/errors.ts'

/** Values of the setting LANES: which of the two this installation allows. */
export const ALLOWED_MODES = ['any', 'stream', 'direct'] as const
export type AllowedModes = (typeof ALLOWED_MODES)[number]

/** Throws LANE_CLOSED. */
export function requireStreamMode(allowed: AllowedModes): void {
  if (allowed !== 'direct') return
  const message = 'streams are disabled in this installation (LANES=direct); use DirectService'
  fail('LANE_CLOSED', message, { lane: 'stream', lanes: allowed })
}

/** Throws LANE_CLOSED. */
export function requireDirectMode(allowed: AllowedModes): void {
  if (allowed !== 'stream') return
  const message = 'direct transfers are disabled in this installation (LANES=stream)'
  fail('LANE_CLOSED', `${message}; use UploadService.WritePart and BlobService.DownloadBlob`, {
    lane: 'direct',
    lanes: allowed,
  })
}
