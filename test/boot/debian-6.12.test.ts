import { testLivepatchesIn } from './suite';

testLivepatchesIn('debian-6.12-gcc');
