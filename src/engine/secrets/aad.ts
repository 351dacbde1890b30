/** Additional authenticated data of an app's webhook secret: its ciphertext decrypts in no other row. */
export function webhookSecretAad(appId: string): string {
  return `webhook|${appId}`
}

/** The same of the token for commit statuses. */
export function statusTokenAad(appId: string): string {
  return `commit-status|${appId}`
}

/** The same of the token or key that its repository is fetched with. */
export function repositoryCredentialAad(appId: string): string {
  return `repository-credential|${appId}`
}
