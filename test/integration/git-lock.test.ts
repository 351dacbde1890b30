import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { withMirrorLock } from '../../src/engine/git/mirror-lock.js'
import { ownIdentity, type ProcessIdentity } from '../../src/engine/git/process-identity.js'
import { until } from '../support/server.js'

/** Less than it takes until a lock that is not renewed counts as left behind. */
const AT_ONCE_MS = 5_000
const OLD_SECONDS = 31

describe('the lock of a mirror', () => {
  let folder = ''
  let mirror = ''
  let lock = ''
  let self: ProcessIdentity

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'longshore-lock-'))
    mirror = join(folder, 'mirror.git')
    lock = `${mirror}.lock`
    self = await ownIdentity()
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  const take = (ms = AT_ONCE_MS) =>
    withMirrorLock(mirror, AbortSignal.timeout(ms), () => Promise.resolve('mine'))
  /** As a process that holds it has it, or left it. */
  const leave = (holder: Partial<ProcessIdentity> | string, secondsAgo = 0) => {
    mkdirSync(lock, { recursive: true })
    const path = join(lock, 'somebody')
    writeFileSync(path, typeof holder === 'string' ? holder : JSON.stringify({ ...self, ...holder }))
    age(path, secondsAgo)
  }
  const age = (path: string, seconds: number) => {
    const at = new Date(Date.now() - seconds * 1000)
    utimesSync(path, at, at)
  }
  const isHeld = () => existsSync(lock)

  test('of a process that lives is waited for, however long ago it was taken', async () => {
    leave({}, 3600)
    await assert.rejects(take(300), { name: 'AbortError' })
    assert.ok(isHeld(), 'a lock that is held is nobody else’s to remove')
    const waiting = take()
    rmSync(lock, { recursive: true })
    assert.equal(await waiting, 'mine')
    assert.deepEqual(readdirSync(folder), [])
  })

  test('of a process that is dead is taken over at once', async () => {
    const pid = Number(execFileSync(process.execPath, ['-p', 'process.pid'], { encoding: 'utf8' }))
    leave({ pid })
    assert.equal(await take(), 'mine')
    assert.equal(isHeld(), false)
  })

  test('of a dead process whose number another one has by now is taken over at once', async () => {
    leave({ startedAt: '1' })
    assert.equal(await take(), 'mine')
  })

  test('of before the last start of the machine is taken over at once', async () => {
    leave({ boot: '00000000-0000-4000-8000-000000000000' })
    assert.equal(await take(), 'mine')
  })

  for (const [what, holder] of [
    ['a process of another container', { pidNamespace: 'pid:[1]', pid: 7 }],
    [
      'a process that says nothing of itself but its number',
      { boot: null, pidNamespace: null, startedAt: null },
    ],
    ['nobody who can be made out', ''],
  ] as const) {
    test(`of ${what} holds as long as it is renewed`, async () => {
      leave(holder)
      await assert.rejects(take(300), { name: 'AbortError' })
      age(join(lock, 'somebody'), OLD_SECONDS)
      assert.equal(await take(), 'mine')
    })
  }

  test('that an earlier version of Longshore left is taken over', async () => {
    writeFileSync(lock, String(process.pid))
    await assert.rejects(take(300), { name: 'AbortError' })
    age(lock, OLD_SECONDS)
    assert.equal(await take(), 'mine')
  })

  test('is renewed while it is held, and not afterwards', async () => {
    const kept = await withMirrorLock(mirror, AbortSignal.timeout(60_000), async () => {
      const path = join(lock, readdirSync(lock)[0] ?? '')
      age(path, OLD_SECONDS)
      const isFresh = () => Date.now() - statSync(path).mtimeMs < (OLD_SECONDS * 1000) / 2
      await until(isFresh)
      return path
    })
    assert.equal(existsSync(kept), false)
  })

  test('that many find to be a dead one’s is got by one at a time', async () => {
    let holding = 0
    let most = 0
    for (let round = 0; round < 10; round++) {
      leave({ startedAt: '1' })
      const waiters = Array.from({ length: 8 }, () =>
        withMirrorLock(mirror, AbortSignal.timeout(60_000), async () => {
          most = Math.max(most, ++holding)
          await sleep(1)
          holding--
        }),
      )
      await Promise.all(waiters)
      assert.equal(most, 1)
      assert.deepEqual(readdirSync(folder), [])
    }
  })
})
