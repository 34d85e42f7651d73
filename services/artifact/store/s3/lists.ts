// Pages of what is stored in a bucket. Objects whose keys are not ours are left out.
import type { Client } from 'minio'
import { isObjectKey, MARKS, type ListedObject, type ListedUpload } from '../byte-store.ts'
import { retry } from './retry.ts'

export async function* listObjects(client: Client, bucket: string): AsyncIterable<ListedObject> {
  let token = ''
  do {
    const from = token
    const page = await retry(() => client.listObjectsV2Query(bucket, '', from, '', 1000, ''))
    for (const { name, size, lastModified } of page.objects) {
      if (name && isObjectKey(name)) yield { key: name, sizeBytes: size, modifyTime: lastModified }
    }
    token = page.isTruncated ? page.nextContinuationToken : ''
  } while (token !== '')
}

/** Every object below the prefix of the marks counts as a mark. */
export async function listMarks(client: Client, bucket: string): Promise<string[]> {
  const { objects } = await retry(() => client.listObjectsV2Query(bucket, MARKS, '', '', 1000, ''))
  return objects.flatMap(({ name }) => (name ? [name.slice(MARKS.length)] : []))
}

/** Lists without a prefix, because MinIO accepts only a whole key as the prefix of uploads. */
export async function* listUploads(client: Client, bucket: string): AsyncIterable<ListedUpload> {
  let [key, upload] = ['', '']
  do {
    const [fromKey, fromUpload] = [key, upload]
    const page = await retry(() => client.listIncompleteUploadsQuery(bucket, '', fromKey, fromUpload, ''))
    for (const { key: name, uploadId, initiated } of page.uploads) {
      if (isObjectKey(name)) yield { key: name, uploadId, modifyTime: new Date(initiated) }
    }
    ;[key, upload] = page.isTruncated ? [page.nextKeyMarker, page.nextUploadIdMarker] : ['', '']
  } while (key !== '')
}
