import { OUTBOX_ENTITIES } from '#lib/store/outbox.ts'
import { AnsweredRequest } from '#lib/store/requests.ts'
import { Blob, NamespaceBlob } from './blobs/blob.ts'
import { Chore } from './chore.ts'
import { PendingDeletion } from './garbage/pending-deletion.ts'
import { Installation } from './installation.ts'
import { Manifest, ManifestBlob, ManifestHold } from './blobs/manifest.ts'
import { Upload, UploadPart } from './uploads/upload.ts'

export const ENTITIES = [
  ...OUTBOX_ENTITIES,
  AnsweredRequest,
  Blob,
  NamespaceBlob,
  Upload,
  UploadPart,
  Manifest,
  ManifestBlob,
  ManifestHold,
  PendingDeletion,
  Chore,
  Installation,
]
