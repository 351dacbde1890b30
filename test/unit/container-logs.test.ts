import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { readFramed, readRaw } from '../../src/engine/docker/container-logs.js'
import type { ContainerOutput } from '../../src/engine/docker/docker.js'

const AT = '2026-01-02T03:04:05.000000006Z'

const frame = (stream: number, text: string) => unstamped(stream, `${AT} ${text}`)

function unstamped(stream: number, text: string): Buffer {
  const bytes = Buffer.from(text)
  const header = Buffer.alloc(8)
  header[0] = stream
  header.writeUInt32BE(bytes.length, 4)
  return Buffer.concat([header, bytes])
}

async function textsOf(output: AsyncIterable<ContainerOutput>): Promise<string[][]> {
  const found: string[][] = []
  for await (const { at, stream, bytes } of output) found.push([at, stream, bytes.toString('utf8')])
  return found
}

function cut(bytes: Buffer, size: number): Buffer[] {
  const count = Math.ceil(bytes.length / size)
  return Array.from({ length: count }, (_, index) => bytes.subarray(index * size, (index + 1) * size))
}

describe('what the engine says that a container wrote', () => {
  const framed = Buffer.concat([frame(1, 'one ä\n'), frame(2, 'two\n'), frame(1, 'part '), frame(1, '\n')])
  const raw = Buffer.from(`${AT} one ä\r\n${AT} two\r\n${AT} cut off`)

  for (const size of [1, 2, 3, 7, 8, 9, 31, 1_000]) {
    test(`is the same messages when it comes in pieces of ${size} bytes`, async () => {
      assert.deepEqual(await textsOf(readFramed(cut(framed, size))), [
        [AT, 'STDOUT', 'one ä\n'],
        [AT, 'STDERR', 'two\n'],
        [AT, 'STDOUT', 'part '],
        [AT, 'STDOUT', '\n'],
      ])
      assert.deepEqual(await textsOf(readRaw(cut(raw, size))), [
        [AT, 'STDOUT', 'one ä\r\n'],
        [AT, 'STDOUT', 'two\r\n'],
        [AT, 'STDOUT', 'cut off'],
      ])
    })
  }

  test('ends with an error where the engine says that it cannot read on', async () => {
    const words = 'Error grabbing logs: invalid character'
    const broken = Buffer.concat([frame(1, 'one\n'), unstamped(3, words), frame(1, 'two\n')])
    const seen: string[] = []
    await assert.rejects(async () => {
      for await (const { bytes } of readFramed([broken])) seen.push(bytes.toString('utf8'))
    }, /cannot read a container's log: Error grabbing logs: invalid character$/)
    assert.deepEqual(seen, ['one\n'])
  })

  test('is nothing where it has no time', async () => {
    const words = ['Error grabbing logs\n', '\n', 'no-space', '2026-13-41T03:04:05.000000006Z x\n']
    const pieces = words.map((text) => unstamped(1, text))
    assert.deepEqual(await textsOf(readFramed([...pieces, frame(1, 'one\n')])), [[AT, 'STDOUT', 'one\n']])
    const raw = Buffer.from(`${words.join('')}\n${AT} one\n`)
    assert.deepEqual(await textsOf(readRaw([raw])), [[AT, 'STDOUT', 'one\n']])
  })

  test('ends with the last whole frame when the connection ends within one', async () => {
    assert.equal((await textsOf(readFramed([framed.subarray(0, -3)]))).length, 3)
  })
})
