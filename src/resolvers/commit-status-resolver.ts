import { Arg, Ctx, FieldResolver, ID, Mutation, Resolver, Root } from 'type-graphql'
import type { App } from '../entities/app.js'
import type { CommitStatusTarget } from '../entities/commit-status.js'
import { AppType } from '../schema/app.js'
import { CommitStatusTargetType } from '../schema/commit-status.js'
import { Forge } from '../schema/enums.js'
import type { RequestContext } from './request-context.js'

@Resolver(() => AppType)
export class CommitStatusResolver {
  @Mutation(() => AppType, {
    description:
      'From now on GitHub, GitLab or Gitea is told how the app’s commits are deployed. What it answers changes no deployment.',
  })
  setCommitStatus(
    @Ctx() { commands }: RequestContext,
    @Arg('appId', () => ID) appId: string,
    @Arg('forge', () => Forge) forge: Forge,
    @Arg('token', () => String) token: string,
    @Arg('apiUrl', () => String, {
      nullable: true,
      description: 'Default: the API of the host of repoUrl, such as https://api.github.com.',
    })
    apiUrl: string | null,
    @Arg('repository', () => String, { nullable: true, description: 'owner/name. Default: that of repoUrl.' })
    repository: string | null,
  ) {
    return commands.commitStatuses.set(appId, { forge, token, apiUrl, repository })
  }

  @Mutation(() => AppType, { description: 'The forge is told no more, and the token is forgotten.' })
  unsetCommitStatus(@Ctx() { commands }: RequestContext, @Arg('appId', () => ID) appId: string) {
    return commands.commitStatuses.unset(appId)
  }

  @FieldResolver(() => CommitStatusTargetType, { nullable: true, description: 'Null: no forge is told.' })
  async commitStatus(@Root() { id }: App, @Ctx() { loaders }: RequestContext) {
    return (await loaders.commitStatusOfApp.load(id))[0] ?? null
  }
}

@Resolver(() => CommitStatusTargetType)
export class CommitStatusTargetResolver {
  @FieldResolver(() => String, {
    nullable: true,
    description: 'Why the forge has not taken the newest status that is to be told. Null: all is well.',
  })
  error(@Root() { appId }: CommitStatusTarget, @Ctx() { loaders }: RequestContext) {
    return loaders.commitStatusError.load(appId)
  }
}
