import { testLivepatchesIn } from './suite';

testLivepatchesIn('linux-7.2-thinlto');
