import java.util.logging.Level;
import java.util.logging.Logger;
import uk.ac.starlink.table.ColumnInfo;
import uk.ac.starlink.table.DescribedValue;
import uk.ac.starlink.table.RowSequence;
import uk.ac.starlink.table.StarTable;
import uk.ac.starlink.table.StarTableFactory;

/** Prints a table as STIL, the library of TOPCAT and STILTS, reads it: columns, facts, then rows. */
public class ReadTable {
  public static void main(String[] arguments) throws Exception {
    Logger.getLogger("uk.ac.starlink").setLevel(Level.OFF);
    StarTable table = new StarTableFactory().makeStarTable(arguments[0]);
    for (int place = 0; place < table.getColumnCount(); place++) {
      ColumnInfo column = table.getColumnInfo(place);
      print("column", column.getName(), column.getContentClass().getSimpleName(),
          column.getUnitString(), column.getUCD(), column.getDescription());
    }
    for (Object each : table.getParameters()) {
      DescribedValue fact = (DescribedValue) each;
      print("fact", fact.getInfo().getName(), fact.getValue());
    }
    RowSequence rows = table.getRowSequence();
    while (rows.next()) {
      print("row", rows.getRow());
    }
  }

  private static void print(String kind, Object... values) {
    StringBuilder line = new StringBuilder(kind);
    for (Object value : values) {
      line.append('\t').append(value == null ? "" : value);
    }
    System.out.println(line);
  }
}
