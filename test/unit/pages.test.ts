import { expect, test } from 'vitest'
import { cutPage, parsePage } from '../../services/lib/lists/pages.ts'

test('a page token returns the page after the last row, for the same query only', () => {
  const first = parsePage({ pageSize: 2, pageToken: '' }, ['List', 'a'], ['number'])
  const { rows, nextPageToken } = cutPage([1, 2, 3], first, (row) => [row])
  expect(rows).toEqual([1, 2])
  expect(parsePage({ pageSize: 2, pageToken: nextPageToken }, ['List', 'a'], ['number']).after).toEqual([2])
  for (const forged of [nextPageToken.slice(1), 'x', Buffer.from('["a",1]').toString('base64url')]) {
    expect(() => parsePage({ pageSize: 2, pageToken: forged }, ['List', 'a'], ['number'])).toThrow('page_token')
  }
  expect(() => parsePage({ pageSize: 2, pageToken: nextPageToken }, ['List', 'b'], ['number'])).toThrow('page_token')
  expect(() => parsePage({ pageSize: 2, pageToken: nextPageToken }, ['List', 'a'], ['string'])).toThrow('page_token')
})

test('the page size is 50 by default, at most 1,000, and not negative', () => {
  const size = (pageSize: number) => parsePage({ pageSize, pageToken: '' }, [], []).size
  expect([size(0), size(7), size(5000)]).toEqual([50, 7, 1000])
  expect(() => size(-1)).toThrow('page_size')
})
