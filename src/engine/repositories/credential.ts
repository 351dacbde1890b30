import type { EntityManager } from 'typeorm'
import { RepositoryCredentialKind, StoredRepositoryCredential } from '../../entities/repository-credential.js'
import { DeployError } from '../errors.js'
import type { RepositoryCredential } from '../git/git.js'
import { type GivenToken, originOf } from '../repository-url.js'
import { repositoryCredentialAad } from '../secrets/aad.js'
import { createDeployKey } from '../secrets/deploy-key.js'
import { DecryptError, type SecretBox } from '../secrets/secrets.js'
import type { Queryable } from '../sql/queryable.js'

interface Owner {
  readonly id: string
  readonly name: string
  readonly repoUrl: string
}

/** Stores a user and a token for an app's repository in place of what there was; in a transaction that has the key's lock. */
export async function storeToken(
  manager: EntityManager,
  app: Owner,
  { username, token, secrets }: GivenToken & { readonly secrets: SecretBox },
): Promise<void> {
  const given = { kind: RepositoryCredentialKind.TOKEN, username, publicKey: null }
  await store(manager, app, { ...given, secretEncrypted: seal(secrets, app, token) })
}

/** The same for a new key pair, whose public half is kept to be shown. */
export async function storeDeployKey(manager: EntityManager, app: Owner, secrets: SecretBox): Promise<void> {
  const { publicKey, privateKey } = createDeployKey(`longshore-${app.name}`)
  const given = { kind: RepositoryCredentialKind.DEPLOY_KEY, username: null, publicKey }
  await store(manager, app, { ...given, secretEncrypted: seal(secrets, app, privateKey) })
}

/** One that was given for another host, or another protocol, is forgotten. */
export async function forgetElsewhere(manager: EntityManager, app: Owner): Promise<void> {
  await manager.query('DELETE FROM repository_credential WHERE app_id = $1 AND origin IS DISTINCT FROM $2', [
    app.id,
    originOf(app.repoUrl),
  ])
}

type Given = Pick<StoredRepositoryCredential, 'kind' | 'username' | 'publicKey' | 'secretEncrypted'>

function seal(secrets: SecretBox, app: Owner, secret: string): string {
  return secrets.encrypt(secret, repositoryCredentialAad(app.id))
}

async function store(manager: EntityManager, app: Owner, given: Given): Promise<void> {
  const [origin, now] = [originOf(app.repoUrl) ?? '', new Date()]
  const row = { appId: app.id, origin, ...given, createdAt: now, updatedAt: now }
  await manager.upsert(StoredRepositoryCredential, row, ['appId'])
}

interface SealedRow {
  readonly kind: RepositoryCredentialKind
  readonly username: string | null
  readonly sealed: string
}

/**
 * What an app's repository is read with at present; null: as anybody. One that was given for another host or protocol than
 * the URL's is not used.
 *
 * @throws DeployError SECRET_UNREADABLE
 */
export async function openRepositoryCredential(
  { database, secrets }: { readonly database: Queryable; readonly secrets: SecretBox },
  appId: string,
  repoUrl: string,
): Promise<RepositoryCredential | null> {
  const [row] = await database.query<SealedRow[]>(
    `SELECT kind, username, secret_encrypted AS sealed FROM repository_credential
      WHERE app_id = $1 AND origin = $2`,
    [appId, originOf(repoUrl)],
  )
  if (!row) return null
  const secret = unseal(secrets, appId, row.sealed)
  if (row.kind === RepositoryCredentialKind.DEPLOY_KEY) return { kind: row.kind, privateKey: secret }
  return { kind: row.kind, username: row.username, token: secret }
}

function unseal(secrets: SecretBox, appId: string, sealed: string): string {
  try {
    return secrets.decrypt(sealed, repositoryCredentialAad(appId))
  } catch (cause) {
    if (!(cause instanceof DecryptError)) throw cause
    const advice = 'restore the key, or set the credential again (setRepositoryToken, createDeployKey)'
    throw new DeployError(cause.code, `${cause.message}: ${advice}`, { cause })
  }
}

/** What of a credential must be seen nowhere. */
export function secretsOf(credential: RepositoryCredential | null): string[] {
  if (credential === null) return []
  return [credential.kind === 'TOKEN' ? credential.token : credential.privateKey]
}
