import type { ComplexityEstimatorArgs } from 'graphql-query-complexity'
import { Arg, Ctx, FieldResolver, ID, Mutation, Query, Resolver, Root } from 'type-graphql'
import type { App } from '../entities/app.js'
import { AppType } from '../schema/app.js'
import { REMOTE_COST } from '../schema/costs.js'
import { RepositoryCredentialType, RepositoryRefsType } from '../schema/repository-credential.js'
import type { RequestContext } from './request-context.js'

@Resolver(() => AppType)
export class RepositoryCredentialResolver {
  @Query(() => RepositoryRefsType, {
    description:
      "A repository's branches and tags, read by a worker within 30 s. If the repository cannot be read, the error has the code that a deployment would fail with; NO_WORKER: no worker is running.",
    complexity: ({ childComplexity }: ComplexityEstimatorArgs) => REMOTE_COST + childComplexity,
  })
  repositoryRefs(
    @Ctx() { commands }: RequestContext,
    @Arg('repoUrl', () => String, { description: 'https://, ssh:// or git@host:path, without a token.' })
    repoUrl: string,
    @Arg('appId', () => ID, {
      nullable: true,
      description:
        "Reads it with this app's credential, which must be for the protocol, host and port of repoUrl. Null: anonymously.",
    })
    appId: string | null,
  ) {
    return commands.repositoryRefs.list(repoUrl, appId ?? null)
  }

  @Mutation(() => AppType, {
    description:
      'Sets the token for a private repository with an https:// URL. Replaces the credential; the next fetch uses it.',
  })
  setRepositoryToken(
    @Ctx() { commands }: RequestContext,
    @Arg('appId', () => ID, { description: 'Id of the app.' }) appId: string,
    @Arg('token', () => String, { description: 'A token that can read the repository. Stored encrypted.' })
    token: string,
    @Arg('username', () => String, {
      nullable: true,
      description: "The user name sent with it. Default: one that the forge's tokens work with.",
    })
    username: string | null,
  ) {
    return commands.repositoryCredentials.setToken(appId, { username, token })
  }

  @Mutation(() => AppType, {
    description:
      'Creates an ed25519 key pair for a private repository with an SSH URL. Replaces the credential; add repositoryCredential.publicKey to the repository at the forge.',
  })
  createDeployKey(
    @Ctx() { commands }: RequestContext,
    @Arg('appId', () => ID, { description: 'Id of the app.' }) appId: string,
  ) {
    return commands.repositoryCredentials.createDeployKey(appId)
  }

  @Mutation(() => AppType, {
    description:
      "Deletes the credential. The repository is then fetched anonymously, or over SSH with the keys of the worker's account.",
  })
  removeRepositoryCredential(
    @Ctx() { commands }: RequestContext,
    @Arg('appId', () => ID, { description: 'Id of the app.' }) appId: string,
  ) {
    return commands.repositoryCredentials.remove(appId)
  }

  @FieldResolver(() => RepositoryCredentialType, {
    nullable: true,
    description: 'What its private repository is fetched with. Null: nothing of its own.',
  })
  async repositoryCredential(@Root() { id }: App, @Ctx() { loaders }: RequestContext) {
    return (await loaders.repositoryCredentialOfApp.load(id))[0] ?? null
  }
}
