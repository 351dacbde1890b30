/** What the ciphertext of an app's webhook secret is bound to. */
export function webhookSecretPlace(appId: string): string {
  return `webhook|${appId}`
}

/** What the ciphertext of the token for commit statuses is bound to. */
export function statusTokenPlace(appId: string): string {
  return `commit-status|${appId}`
}
