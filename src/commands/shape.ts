import { shape, type Shape } from '../index';
import { BaseCommand } from './support/base-command';
import { argument } from './support/argument';

export default class ShapeCommand extends BaseCommand {
  static override summary = 'measure how an object is built, as parameters for synth';
  static override description =
    'Prints JSON: how function sizes, relocations, objects, strings and table entries are spread and what they refer to, per 1000 functions. klpflow synth --shape FILE makes objects of any size that measure alike.';
  static override examples = ['<%= config.bin %> <%= command.id %> orig/vmlinux.o > shape.json'];
  static override enableJsonFlag = true;
  static override args = {
    object: argument({ name: 'OBJECT', description: "vmlinux.o, or a module's .o", required: true }),
  };

  async run(): Promise<Shape> {
    const { args } = await this.parse(ShapeCommand);
    const measured = await shape({ object: args.object });
    this.log(JSON.stringify(measured, null, 2));
    return measured;
  }
}
