import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { DataSource } from 'typeorm'
import { openDatabase } from '../../src/database.js'
import { Disposal } from '../../src/disposal.js'
import { Commands } from '../../src/engine/commands.js'
import { readConfiguration } from '../../src/engine/configuration/configuration.js'
import { openInstance, type OpenInstance } from '../../src/engine/secrets/instance.js'
import { rotateKey } from '../../src/engine/secrets/rotate-key.js'
import { keyIdOf, SecretBox } from '../../src/engine/secrets/secrets.js'
import { openVariables } from '../../src/engine/secrets/variables.js'
import { Wakeups } from '../../src/engine/wakeups/wakeups.js'
import { App } from '../../src/entities/app.js'
import { CommitStatusTarget } from '../../src/entities/commit-status.js'
import { Deployment } from '../../src/entities/deployment.js'
import { Forge } from '../../src/entities/webhook-delivery.js'
import { Webhook } from '../../src/entities/webhook.js'
import { repositoryCredentialAad, statusTokenAad, webhookSecretAad } from '../../src/engine/secrets/aad.js'
import { Stage } from '../../src/entities/stage.js'
import { Variable } from '../../src/entities/variable.js'
import { createLogger } from '../../src/logger.js'
import { createTestDatabase } from '../support/database.js'
import { COMMAND_SETTINGS } from '../support/engine.js'

const [OLD, NEW, THIRD] = ['a', 'b', 'c'].map((digit) => digit.repeat(64)) as [string, string, string]

/** An empty database with what a process opens on it. */
async function openScene() {
  const opened = new Disposal()
  const { url } = opened.use(await createTestDatabase())
  const database = await openDatabase(url)
  opened.defer(() => database.destroy())
  const dataDir = mkdtempSync(join(tmpdir(), 'longshore-key-'))
  opened.defer(() => rmSync(dataDir, { recursive: true, force: true }))
  const wakeups = opened.use(new Wakeups(url, createLogger('error')))
  await wakeups.start()
  const open = (masterKey: string | null = null, masterKeyPrevious: string | null = null, folder = dataDir) =>
    openInstance(database, { masterKey, masterKeyPrevious, dataDir: folder })
  const commandsWith = ({ secrets }: Pick<OpenInstance, 'secrets'>) =>
    new Commands({ database, wakeups, secrets, settings: COMMAND_SETTINGS })
  return {
    database,
    dataDir,
    open,
    commandsWith,
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  }
}

/** Every table as text, to see whether anything was written. */
async function dump(database: DataSource): Promise<string> {
  const tables = ['instance', 'app', 'stage', 'variable', 'deployment']
  const rows = await Promise.all(
    tables.map((table) => database.query(`SELECT t::text FROM ${table} t ORDER BY 1`)),
  )
  return JSON.stringify(rows)
}

/** An app with `count` variables and, pinned in deployments, as many snapshots of them. */
async function fill(
  { database }: { database: DataSource },
  commands: Commands,
  count: number,
  snapshots: number,
) {
  const variables = [...Array(count).keys()].map((index) => ({
    key: `KEY_${index}`,
    value: `value ${index}`,
  }))
  const app = await commands.apps.create({
    name: 'kept',
    repoUrl: 'file:///srv/repo',
    variables,
    deploy: false,
  })
  const stage = await database.getRepository(Stage).findOneByOrFail({ appId: app.id })
  const configuration = await readConfiguration(database, app, stage)
  for (let index = 0; index < snapshots; index++) {
    const deployment = { appId: app.id, stageId: stage.id, trigger: 'MANUAL', status: 'RETIRED' }
    const id = `d${String(index).padStart(11, '0')}`
    await database.getRepository(Deployment).insert({ ...deployment, id, configuration } as Deployment)
  }
  return { app, stage }
}

/** The ids of the keys that anything is encrypted with. */
async function keyIds(database: DataSource): Promise<string[]> {
  const variables = await database.getRepository(Variable).find()
  const deployments = await database.getRepository(Deployment).find()
  const canaries = await database.query<{ canary: string }[]>('SELECT canary FROM instance')
  const snapshots = deployments.flatMap(({ configuration }) => configuration?.variables ?? [])
  const stored = [...variables, ...snapshots].map(({ valueEncrypted }) => valueEncrypted)
  return [...new Set([...stored, ...canaries.map(({ canary }) => canary)].map(keyIdOf))]
}

describe('an installation', () => {
  test('is one, with one key, for processes that start it at the same time', async () => {
    await using scene = await openScene()
    const all = await Promise.all(Array.from({ length: 5 }, () => scene.open()))
    assert.equal(new Set(all.map(({ id }) => id)).size, 1)
    assert.equal(new Set(all.map(({ secrets }) => secrets.keyId)).size, 1)
    assert.equal((await scene.database.query<unknown[]>('SELECT id FROM instance')).length, 1)
    assert.deepEqual(await keyIds(scene.database), [all[0]?.secrets.keyId])
  })

  test('is opened by one of two processes that race with different keys, and the other is told', async () => {
    await using scene = await openScene()
    const folders = ['one', 'two'].map((name) => join(scene.dataDir, name))
    for (const keys of [
      folders.map((folder) => [null, null, folder] as const),
      [[OLD] as const, [NEW] as const],
    ]) {
      await scene.database.query('DELETE FROM instance')
      const raced = await Promise.allSettled(keys.map((key) => scene.open(...key)))
      assert.deepEqual(raced.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
      for (const folder of folders) rmSync(folder, { recursive: true, force: true })
    }
  })

  test('does not open with another key: it says which key it needs and which there is, and writes nothing', async () => {
    await using scene = await openScene()
    const { secrets } = await scene.open(OLD)
    await fill(scene, scene.commandsWith({ secrets }), 2, 0)
    const before = await dump(scene.database)
    const other = new SecretBox(Buffer.from(NEW, 'hex'))
    await assert.rejects(scene.open(NEW), (error: Error & { code: string }) => {
      assert.equal(error.code, 'WRONG_MASTER_KEY')
      for (const part of [secrets.keyId, other.keyId, 'MASTER_KEY', 'MASTER_KEY_PREVIOUS', 'restore'])
        assert.ok(error.message.includes(part), part)
      assert.ok(!error.message.includes(OLD) && !error.message.includes(NEW))
      return true
    })
    await assert.rejects(scene.open(), /master-key is missing/)
    await assert.rejects(scene.open(NEW, THIRD), { code: 'WRONG_MASTER_KEY' })
    assert.equal(await dump(scene.database), before)
    assert.deepEqual(readdirSync(scene.dataDir), [], 'no key was made')
    assert.equal((await scene.open(OLD)).secrets.keyId, secrets.keyId)
  })

  test('from before there was a canary asks for the key of its variables', async () => {
    await using scene = await openScene()
    await fill(scene, scene.commandsWith(await scene.open(OLD)), 1, 0)
    await scene.database.query('UPDATE instance SET canary = NULL')
    await assert.rejects(scene.open(NEW), { code: 'WRONG_MASTER_KEY' })
    await assert.rejects(scene.open(), { code: 'WRONG_MASTER_KEY' })
    const { secrets } = await scene.open(OLD)
    assert.deepEqual(await keyIds(scene.database), [secrets.keyId])
  })

  test('does not open where its canary was changed', async () => {
    await using scene = await openScene()
    const { secrets } = await scene.open(OLD)
    await scene.database.query('UPDATE instance SET canary = $1', [secrets.encrypt('canary', 'elsewhere')])
    await assert.rejects(scene.open(OLD), /canary in the database is damaged/)
  })
})

describe('a change of the key', () => {
  test('encrypts variables and snapshots again, fingerprints stay comparable, and the old key opens nothing', async () => {
    await using scene = await openScene()
    const old = await scene.open(OLD)
    const { stage } = await fill(scene, scene.commandsWith(old), 130, 3)
    const { secrets } = await scene.open(NEW, OLD)
    assert.deepEqual(await rotateKey(scene.database, secrets), { count: 130 * 4, unreadable: [] })
    assert.deepEqual(await keyIds(scene.database), [secrets.keyId])
    const alone = (await scene.open(NEW)).secrets
    const variables = await scene.database.getRepository(Variable).findBy({ stageId: stage.id })
    const opened = openVariables(alone, stage.id, variables)
    assert.equal(opened.size, 130)
    for (const [key, value] of opened) assert.equal(value, key.replace('KEY_', 'value '))
    for (const { configuration } of await scene.database.getRepository(Deployment).find()) {
      assert.deepEqual(
        openVariables(alone, stage.id, configuration?.variables ?? []),
        new Map([...opened].sort()),
      )
      const prints = new Map(configuration?.variables.map(({ key, fingerprint }) => [key, fingerprint]))
      for (const { key, fingerprint } of variables) assert.equal(prints.get(key), fingerprint)
    }
    assert.throws(() => openVariables(old.secrets, stage.id, variables), { code: 'SECRET_UNREADABLE' })
    assert.deepEqual(await rotateKey(scene.database, secrets), { count: 0, unreadable: [] })
  })

  test('encrypts the secrets of webhooks, forges and repositories again', async () => {
    await using scene = await openScene()
    const commands = scene.commandsWith(await scene.open(OLD))
    const { id } = await commands.apps.create({
      name: 'pushed',
      repoUrl: 'https://git.invalid/o/r.git',
      deploy: false,
    })
    const secret = await commands.webhooks.rotate(id)
    await commands.commitStatuses.set(id, { forge: Forge.GITEA, token: 'a-token-of-the-forge' })
    await commands.repositoryCredentials.setToken(id, { token: 'a-token-of-the-repository' })
    const { secrets } = await scene.open(NEW, OLD)
    assert.deepEqual(await rotateKey(scene.database, secrets), { count: 3, unreadable: [] })
    const alone = (await scene.open(NEW)).secrets
    const sql = 'SELECT secret_encrypted AS sealed FROM repository_credential'
    const [row] = await scene.database.query<{ sealed: string }[]>(sql)
    assert.equal(alone.decrypt(row?.sealed ?? '', repositoryCredentialAad(id)), 'a-token-of-the-repository')
    const webhook = await scene.database.getRepository(Webhook).findOneByOrFail({ appId: id })
    assert.equal(alone.decrypt(webhook.secretEncrypted, webhookSecretAad(id)), secret)
    const target = await scene.database.getRepository(CommitStatusTarget).findOneByOrFail({ appId: id })
    assert.equal(alone.decrypt(target.tokenEncrypted, statusTokenAad(id)), 'a-token-of-the-forge')
    assert.equal(target.fingerprint, alone.fingerprint('a-token-of-the-forge'))
  })

  test('leaves and names a value that no key opens, and does the others', async () => {
    await using scene = await openScene()
    const { stage } = await fill(scene, scene.commandsWith(await scene.open(OLD)), 3, 1)
    const damaged = { valueEncrypted: new SecretBox(Buffer.alloc(32, 9)).encrypt('x', 'y') }
    await scene.database.getRepository(Variable).update({ stageId: stage.id, key: 'KEY_1' }, damaged)
    const { secrets } = await scene.open(NEW, OLD)
    const rotation = await rotateKey(scene.database, secrets)
    assert.deepEqual(rotation, { count: 5, unreadable: [`KEY_1 of stage ${stage.id}`] })
    assert.equal(
      (await scene.database.getRepository(Variable).findOneByOrFail({ key: 'KEY_1' })).valueEncrypted,
      damaged.valueEncrypted,
    )
  })

  test('misses nothing that is written and copied meanwhile, and stops a process that has the old key only', async () => {
    await using scene = await openScene()
    const old = await scene.open(OLD)
    const { app, stage } = await fill(scene, scene.commandsWith(old), 20, 150)
    await scene.database.query(`UPDATE deployment SET image_id = 'sha256:1', live_at = now()`)
    const current = await scene.open(NEW, OLD)
    const commands = scene.commandsWith(current)
    let working = true
    const work = async () => {
      for (let round = 0; working; round++) {
        await commands.variables.set(stage.id, [{ key: `KEY_${round % 20}`, value: `value ${round % 20}` }])
        const target = `d${String(round % 150).padStart(11, '0')}`
        const { id } = await commands.releases.rollback(app.id, { toDeploymentId: target })
        await scene.database.getRepository(Deployment).update({ id }, { status: 'CANCELLED' as never })
      }
    }
    const refused = scene
      .commandsWith(old)
      .variables.set(stage.id, [{ key: 'LATE', value: 'with the old key' }])
    await assert.rejects(refused, { name: 'CommandError', code: 'CONFLICT' })
    const busy = work()
    await rotateKey(scene.database, current.secrets)
    working = false
    await busy
    assert.deepEqual(await keyIds(scene.database), [current.secrets.keyId])
    assert.ok((await scene.database.getRepository(Deployment).count()) > 150, 'some were copied meanwhile')
    assert.equal((await scene.database.getRepository(App).findOneByOrFail({ id: app.id })).name, 'kept')
  })
})
