import com.sun.jna.Callback;
import com.sun.jna.Library;
import com.sun.jna.Memory;
import com.sun.jna.Native;
import com.sun.jna.NativeLong;
import com.sun.jna.Pointer;
import java.util.Arrays;

public class Jna {
	public interface C extends Library {
		interface Compare extends Callback {
			int compare(Pointer a, Pointer b);
		}
		void qsort(Pointer base, NativeLong nr, NativeLong size, Compare compare);
	}

	public static void main(String[] args) {
		System.out.println("started");
		Memory numbers = new Memory(12);
		numbers.write(0, new int[] { 2, 3, 1 }, 0, 3);
		C c = Native.load("c", C.class);
		c.qsort(numbers, new NativeLong(3), new NativeLong(4), (a, b) -> a.getInt(0) - b.getInt(0));
		if (Arrays.equals(numbers.getIntArray(0, 3), new int[] { 1, 2, 3 }))
			System.out.println("called back");
	}
}
