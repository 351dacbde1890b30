import { Column, Entity, JoinColumn, ManyToOne, PrimaryColumn, type Relation } from 'typeorm'
import { bigintAsNumber } from './bigint.js'
import { Stage } from './stage.js'

/** A router's word that it has followed a switch of a stage's traffic; removed when the switch is announced. */
@Entity({ name: 'route_confirmation' })
export class RouteConfirmation {
  @PrimaryColumn({ type: 'text', name: 'stage_id', primaryKeyConstraintName: 'route_confirmation_pkey' })
  stageId!: string

  @ManyToOne(() => Stage, { onDelete: 'CASCADE', nullable: false })
  @JoinColumn({ name: 'stage_id', foreignKeyConstraintName: 'route_confirmation_stage_id_fkey' })
  stage!: Relation<Stage>

  /** As in `worker.router`. */
  @PrimaryColumn({ type: 'text', primaryKeyConstraintName: 'route_confirmation_pkey' })
  router!: string

  @Column({ type: 'bigint', name: 'route_epoch', transformer: bigintAsNumber })
  routeEpoch!: number
}
